//! What is told of each process.

use observer_go::binary::{FigureGroup, Reason};
use serde_json::{Value, json};

use super::server::start;
use crate::fixtures::{in_container, lacking, observation, snapshot, with_gc, with_state};

#[tokio::test]
async fn processes_have_the_documented_form() {
    let server = start().await;
    let process = lacking(
        with_gc(observation(10, "/srv/shop")),
        FigureGroup::Goroutines,
        Reason::StartedBefore,
    );
    let process = in_container(process, &"ab".repeat(32));
    server
        .snapshots
        .send(Some(snapshot(vec![process])))
        .unwrap();
    let (_, head, body) = server.ask("GET", "/api/v1/processes", "*/*").await;
    assert!(head.contains("content-type: application/json"));
    let exact = json!({"covered": true, "reason": null, "detail": null});
    let cycles = |n: u64| json!({"started": n, "completed": n});
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!([{
            "pid": 10, "inner_pid": 1, "process": "shop", "exe": "/srv/shop", "exe_deleted": false, "ended": null,
            "container": {"id": "ab".repeat(32), "runtime": "containerd", "pod_uid": null},
            "origin": null, "kubernetes": null,
            "binary": {
                "version": "go1.26.8", "path": "example.com/shop/cmd/server", "build_mode": "pie", "stripped": true,
                "library": null,
                "module": {"path": "example.com/shop", "version": "v1.4.2"}, "build_id": "abc123",
            },
            "coverage": {
                "goroutines_created": exact, "goroutines_exited": exact, "gc_cycles": exact, "gc_pauses": exact,
                "other_stops": exact,
                "goroutines": {"covered": false, "reason": "started_before", "detail": "goroutines is not there"},
            },
            "figures": {
                "from_start": true,
                "goroutines": {"created": 1010, "exited": 1000, "system_created": 5, "system_exited": 0, "live": null},
                "state": null,
                "gc": {
                    "cycles": {"heap": cycles(2), "time": cycles(0), "forced": cycles(1), "unknown": cycles(0)},
                    "pauses": {
                        "gc_mark_termination": {"count": 3, "total_ns": 90_000, "stopping_ns": 9_000},
                        "gc_sweep_termination": {"count": 3, "total_ns": 60_000, "stopping_ns": 6_000},
                        "read_mem_stats": {"count": 1, "total_ns": 20_000_000, "stopping_ns": 1_000},
                    },
                    "pause_total_ns": 150_000, "mark_ns": 3_000_000, "whole_cycles": 3,
                    "last_cycle": {"sweep_termination_ns": 20_000, "mark_ns": 1_000_000, "mark_termination_ns": 30_000},
                },
            },
            "probes": {
                "hits": 2119, "cost_ns": 0, "hot": true, "exact": true, "batch": true,
                "counted": {"created": 1010, "exited": 1000, "batches": 64},
            },
        }])
    );
}

#[tokio::test]
async fn the_state_is_served_beside_the_events() {
    let server = start().await;
    let process = with_state(observation(10, "/srv/shop"));
    server
        .snapshots
        .send(Some(snapshot(vec![process])))
        .unwrap();
    let (_, _, body) = server.ask("GET", "/api/v1/processes", "*/*").await;
    let process = &serde_json::from_str::<Value>(&body).unwrap()[0];
    let figures = &process["figures"];
    assert_eq!(figures["goroutines"]["created"], 2000);
    assert_eq!(process["probes"]["counted"]["created"], 1010);
    assert_eq!(figures["goroutines"]["live"], 7);
    let state = &figures["state"];
    assert_eq!(state["at"], 1_800_000_000.0);
    assert_eq!(
        state["goroutines"],
        json!({
            "live": 7, "created": 2000, "exited": 1990, "ids": 2016, "runnable": 3,
            "states": {"running": 1, "not_in_go": 2, "waiting": 6},
        })
    );
    assert_eq!(state["collections"]["cycles"], 30);
    assert_eq!(state["allocation"]["mallocs"], 10_000);
    assert_eq!(state["settings"]["gogc_percent"], u64::MAX);
}

#[tokio::test]
async fn goroutines_are_walked_of_observed_processes_only() {
    let server = start().await;
    assert_eq!(
        server
            .ask("GET", "/api/v1/processes/10/goroutines", "*/*")
            .await
            .0,
        503
    );
    let own = std::process::id();
    server
        .snapshots
        .send(Some(snapshot(vec![observation(own, "/srv/shop")])))
        .unwrap();
    for (path, status) in [
        ("/api/v1/processes/1/goroutines".to_owned(), 404),
        ("/api/v1/processes/x/goroutines".to_owned(), 400),
        // It lives, and runs something else than what was observed.
        (format!("/api/v1/processes/{own}/goroutines"), 404),
    ] {
        let (found, _, body) = server.ask("GET", &path, "*/*").await;
        assert_eq!(found, status, "{path}: {body}");
    }
}
