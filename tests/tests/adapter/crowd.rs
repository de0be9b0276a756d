//! Strangers in numbers, at a replica as it is deployed.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use observer_tests::{
    cluster::{Adapter, Cluster, NODES, SOON, adapter::Replica, say, turn},
    wait,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{load, security};

const CROWD: usize = 10_000;
/// Strangers that a replica holds.
const PLACES: usize = 1024;

fn address(replica: &Replica) -> SocketAddr {
    (replica.address, 6443).into()
}

fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("more files");
}

/// Whether the other end has closed it.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("to look only");
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn ten_thousand_connections_keep_nobody_out() {
    let _turn = turn::alone();
    raise_limit();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let replicas = adapter.replicas();
    let _programs = load::on_each_node(&adapter);
    let crashes = security::restarts(&adapter);
    let begin = Instant::now();
    load::during(&adapter, || {
        let mut crowd = Vec::new();
        for n in 0..CROWD {
            let to = address(&replicas[n % replicas.len()]);
            let mut stream = TcpStream::connect(to).unwrap_or_else(|e| panic!("{n}: {e}"));
            // Some begin a handshake, or what is none, and leave it there.
            match n % 3 {
                0 => {}
                1 => drop(stream.write_all(b"\x16\x03\x01\x02\x00\x01")),
                _ => drop(stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n")),
            }
            crowd.push(stream);
        }
        for replica in &replicas {
            let answer = replica
                .ask("/readyz", &[], None)
                .expect("the kubelet's probe");
            assert_eq!(answer.code, 200, "{answer:?}");
        }
        let list = adapter.ask("v1beta2", "nodes/*/go_goroutines");
        assert_eq!(list.items().len(), NODES.len(), "{list:?}");
        // Who came first makes room for who came last.
        wait::until("no more strangers than there are places", SOON, || {
            crowd.retain_mut(|stream| !is_closed(stream));
            (crowd.len() <= PLACES * replicas.len()).then_some(())
        });
    });
    say(&format!(
        "{CROWD} silent connections: all let in, and all but {PLACES} a replica closed, after {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    assert_eq!(security::restarts(&adapter), crashes, "it was too much");
}
