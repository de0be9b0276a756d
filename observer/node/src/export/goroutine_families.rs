//! Families of goroutines by what they do and by who created them.

use super::{
    creators::Creators,
    family::{Family, Kind},
    sink::Value,
    state_families::state,
    states::now,
};

pub(super) static FAMILIES: [Family; 5] = [
    state(
        "go_sched_goroutines_running_goroutines",
        Kind::Gauge,
        None,
        "Number of goroutines currently executing.",
        "/sched/goroutines/running:goroutines (1.26+): Ms whose goroutine runs",
        |group, sink| {
            now(group, sink, |s| {
                s.goroutines.states.as_ref().map(|states| states.running)
            });
        },
    ),
    state(
        "go_sched_goroutines_not_in_go_goroutines",
        Kind::Gauge,
        None,
        "Number of goroutines running or blocked in a system call or cgo call.",
        "/sched/goroutines/not-in-go:goroutines (1.26+): Ms whose goroutine is in a system call or in C",
        |group, sink| {
            now(group, sink, |s| {
                s.goroutines.states.as_ref().map(|states| states.not_in_go)
            });
        },
    ),
    state(
        "go_sched_goroutines_waiting_goroutines",
        Kind::Gauge,
        None,
        "Number of goroutines waiting on a resource (I/O or sync primitives), the runtime's own included.",
        "/sched/goroutines/waiting:goroutines (1.26+): all that are not runnable, running or out of Go",
        |group, sink| {
            now(group, sink, |s| {
                s.goroutines.states.as_ref().map(|states| states.waiting)
            });
        },
    ),
    state(
        "go_sched_threads_total_threads",
        Kind::Gauge,
        None,
        "The current count of live threads that are owned by the Go runtime, without those that C created.",
        "/sched/threads/total:threads (1.26+): Ms that are not kept for threads of C",
        |group, sink| now(group, sink, |s| s.scheduler.go_threads),
    ),
    state(
        "observer_goroutines_by_creator",
        Kind::Gauge,
        None,
        "Live goroutines by the go statement that created them, of the creators with most of them; the rest is the function other. Found by walking over all goroutines now and then, and only where the walk reached the end.",
        "--goroutine-creators: allgs, g.gopc through the function table",
        |group, sink| {
            for (creator, count) in group.creators.iter().flat_map(Creators::top) {
                sink.0.push((
                    vec![
                        ("function", creator.function.clone()),
                        ("line", creator.line.clone()),
                    ],
                    Value::Integer(count),
                ));
            }
        },
    ),
];
