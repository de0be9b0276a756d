//! What a request for many pods costs the adapter, by how many nodes they are
//! on, and the adapter of the reference library beside it.

mod adapters;
mod api;
mod nodes;

use std::{env, fmt::Write as _};

use adapters::Adapter;

/// One size of a cluster.
struct Row {
    nodes: usize,
    /// On each node.
    pods: usize,
    requests: usize,
    /// Whether the reference is measured too: it is given its values one by one.
    with_reference: bool,
}

const ROWS: [Row; 3] = [
    Row {
        nodes: 100,
        pods: 10,
        requests: 200,
        with_reference: true,
    },
    Row {
        nodes: 1000,
        pods: 10,
        requests: 100,
        with_reference: true,
    },
    Row {
        nodes: 5000,
        pods: 20,
        requests: 20,
        with_reference: false,
    },
];

/// Whether this process was something else than the benchmark.
pub(crate) fn was_part() -> bool {
    if let Ok(pods) = env::var(nodes::ASKED) {
        nodes::serve(&pods);
    } else if let Ok(size) = env::var(api::ASKED) {
        api::serve(&size);
    } else {
        return false;
    }
    true
}

/// The table.
pub(crate) fn table() -> String {
    let mut table = "Milliseconds of a request for all pods over HTTPS, one at a time; processor \
         milliseconds that the adapter spent on one; and the most memory it had. The nodes and \
         the API server are simulated by processes on the same machine: each node has an address \
         of its own and answers over TLS. The reference library's test adapter holds the values \
         in memory and asks no node; for each request it lists the pods from the API server.\n\n\
         | pods | nodes | adapter | requests | p50, ms | p99, ms | CPU, ms | memory, MiB |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for row in ROWS {
        let Row {
            nodes,
            pods,
            requests,
            ..
        } = row;
        let api = api::Api::start(nodes, pods);
        let mut add = |name: &str, adapter: &Adapter| {
            let all = nodes * pods;
            let (took, cost) = adapter.measure(all, requests);
            let (p50, p99) = (took[requests / 2], took[requests * 99 / 100]);
            let memory = adapter.memory();
            let line = format!(
                "| {all} | {nodes} | {name} | {requests} | {p50:.1} | {p99:.1} | {cost:.1} | {memory} |"
            );
            eprintln!("{line}");
            let _ = writeln!(table, "{line}");
        };
        let simulated = nodes::start(pods);
        for (name, fresh) in [
            ("ours, every node asked", "0s"),
            ("ours, figures fresh", "1m"),
        ] {
            add(name, &Adapter::ours(&api, &simulated, fresh));
        }
        drop(simulated);
        if row.with_reference
            && let Some(reference) = Adapter::reference(&api, nodes, pods)
        {
            add("reference", &reference);
        }
    }
    table
}
