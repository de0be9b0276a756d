//! What a request for many pods costs the adapter, by how many nodes they are
//! on, and the adapter of the reference library beside it.

mod adapters;
mod api;
mod nodes;

use std::{env, fmt::Write as _};

use adapters::Adapter;

/// Says that this process is the nodes, and how many pods each has.
const NODES: &str = "OBSERVER_BENCH_NODES";
/// Says that this process is the API server, and of how many nodes and pods.
const API: &str = "OBSERVER_BENCH_API";
const ROUNDS: usize = 100;
/// Nodes, pods on each, and whether the reference is measured too: it is given
/// its values one by one.
const ROWS: [(usize, usize, bool); 3] = [(100, 10, true), (1000, 10, true), (5000, 20, false)];

/// Whether this process was something else than the benchmark.
pub(crate) fn was_part() -> bool {
    if let Ok(pods) = env::var(NODES) {
        nodes::serve(&pods);
    } else if let Ok(size) = env::var(API) {
        api::serve(&size);
    } else {
        return false;
    }
    true
}

/// The table.
pub(crate) fn table() -> String {
    let mut table = format!(
        "Milliseconds of a request for all pods over HTTPS, of {ROUNDS} in turn; processor \
         milliseconds that the adapter spent on one; and the most memory it had. The nodes and \
         the API server are simulated by processes on the same machine: each node has an address \
         of its own and answers over TLS. The reference library's test adapter holds the values \
         in memory and asks no node; for each request it lists the pods from the API server.\n\n\
         | pods | nodes | adapter | p50, ms | p99, ms | CPU, ms | memory, MiB |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for (nodes, pods, with_reference) in ROWS {
        let api = api::Api::start(nodes, pods);
        let mut add = |name: &str, adapter: &Adapter| {
            let (took, cost) = adapter.measure(nodes * pods, ROUNDS);
            let (p50, p99) = (took[ROUNDS / 2], took[ROUNDS * 99 / 100]);
            let memory = adapter.memory();
            let all = nodes * pods;
            let _ = writeln!(
                table,
                "| {all} | {nodes} | {name} | {p50:.1} | {p99:.1} | {cost:.1} | {memory} |"
            );
        };
        let simulated = nodes::start(pods);
        for (name, fresh) in [
            ("ours, every node asked", "0s"),
            ("ours, figures fresh", "1m"),
        ] {
            add(name, &Adapter::ours(&api, &simulated, fresh));
        }
        drop(simulated);
        if with_reference && let Some(reference) = Adapter::reference(&api, nodes, pods) {
            add("reference", &reference);
        }
    }
    table
}
