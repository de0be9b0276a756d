//! Snapshots to test with.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use observer_ebpf::{
    GcCycleFigures, GcFigures, GoroutineFigures, StopFigures, TIME_HISTOGRAM_BUCKETS, TimeHistogram,
};

use crate::{
    discover::{Container, Executable, FileId, Process, Runtime},
    gobinary::{Binary, BuildMode, Figure, Module, Reason, SitePlan, StatePlan},
    node::{
        Cluster, Coverage, Differences, EventFigures, Figures, Groups, Health, Missing,
        Observation, Place, Pod, PodContainer, Snapshot, StateSample, Walked, Walks,
    },
    release::{Arch, GoVersion},
    runtime,
};

pub(crate) fn binary(version: &str) -> Binary {
    Binary {
        version: version.to_owned(),
        release: GoVersion::parse(version),
        path: Some("example.com/shop/cmd/server".to_owned()),
        module: Some(Module {
            path: "example.com/shop".to_owned(),
            version: "v1.4.2".to_owned(),
        }),
        build_mode: BuildMode::Pie,
        arch: Arch::Amd64,
        stripped: true,
        build_id: Some("abc123".to_owned()),
        size: 4_000_000,
        pclntab: None,
        plan: SitePlan::default(),
        state: StatePlan::default(),
    }
}

pub(crate) fn histogram(durations: &[u64]) -> TimeHistogram {
    let mut histogram = TimeHistogram {
        counts: [0; TIME_HISTOGRAM_BUCKETS],
        overflow: 0,
        sum_ns: 0,
    };
    for &ns in durations {
        match TimeHistogram::bucket(ns) {
            Some(bucket) => histogram.counts[bucket] += 1,
            None => histogram.overflow += 1,
        }
        histogram.sum_ns += ns;
    }
    histogram
}

/// Three cycles, one of them forced, and a ReadMemStats.
pub(crate) fn gc() -> GcFigures {
    let mut stops = [StopFigures::default(); observer_ebpf::STW_REASONS];
    stops[1] = StopFigures {
        count: 3,
        total_ns: 90_000,
        stopping_ns: 9_000,
    };
    stops[2] = StopFigures {
        count: 3,
        total_ns: 60_000,
        stopping_ns: 6_000,
    };
    stops[7] = StopFigures {
        count: 1,
        total_ns: 20_000_000,
        stopping_ns: 1_000,
    };
    GcFigures {
        started: [2, 0, 1, 0],
        completed: [2, 0, 1, 0],
        pause_total_ns: 150_000,
        mark_ns: 3_000_000,
        whole_cycles: 3,
        last: GcCycleFigures {
            began: 1,
            sweep_termination_ns: 20_000,
            mark_began: 20_001,
            mark_ns: 1_000_000,
            mark_termination_ns: 30_000,
        },
        stops,
        total_gc: histogram(&[20_000, 20_000, 20_000, 30_000, 30_000, 30_000]),
        total_other: histogram(&[20_000_000]),
        stopping_gc: histogram(&[2_000, 2_000, 2_000, 3_000, 3_000, 3_000]),
        stopping_other: histogram(&[1_000]),
        hits: 40,
        ..GcFigures::ZERO
    }
}

/// A process seen from its start, everything exact, without a collection yet.
pub(crate) fn observation(pid: u32, path: &str) -> Observation {
    Observation {
        process: Arc::new(Process {
            pid,
            inner_pid: 1,
            start_ticks: 100,
            executable: Executable {
                id: FileId {
                    device: 1,
                    inode: 2,
                    size: 3,
                    modified_ns: 4,
                    changed_ns: 5,
                },
                path: path.into(),
                deleted: false,
                memfd: false,
            },
            comm: "server".to_owned(),
            container: None,
            pod_uid: None,
            origin: None,
            cgroup_id: Some(7),
            forked: false,
        }),
        binary: Arc::new(binary("go1.26.8")),
        library: None,
        coverage: Coverage(Arc::new(
            Figure::EVENTS
                .into_iter()
                .map(|figure| (figure, None))
                .collect(),
        )),
        figures: Figures {
            events: EventFigures {
                from_start: true,
                collections_from_start: true,
                goroutines: GoroutineFigures {
                    created: 1010,
                    exited: 1000,
                    system_created: 5,
                    system_exited: 0,
                    goid_refills: 64,
                    unpaid_ns: 0,
                },
                gc: None,
            },
            ..Figures::default()
        },
        probes: Groups {
            batch: true,
            exact: true,
        },
        ended: None,
        brief: false,
    }
}

/// The same, sampled: 1 % more than its probes saw.
pub(crate) fn with_state(mut observation: Observation) -> Observation {
    let bounds: &'static [f64] = &[f64::NEG_INFINITY, 0.0, 64e-9, 128e-9, 1.0, f64::INFINITY];
    let histogram = |counts: [u64; 5]| runtime::TimeHistogram::new(bounds, &counts);
    let mut figures = runtime::StateFigures {
        goroutines: runtime::Goroutines {
            live: 7,
            created: Some(2000),
            exited: Some(1990),
            ids: Some(2016),
            runnable: 3,
            states: Some(runtime::GoroutineStates {
                running: 1,
                not_in_go: 2,
                waiting: 6,
            }),
        },
        allocation: Some(runtime::Allocation {
            heap_bytes: 1 << 20,
            heap_objects: 900,
            total_bytes: 5 << 20,
            mallocs: 10_000,
            frees: 9_100,
        }),
        cpu: Some(runtime::CollectorCpu {
            gc_total_ns: 250_000_000,
            ..runtime::CollectorCpu::default()
        }),
        ..runtime::StateFigures::default()
    };
    figures.scheduler.threads = 9;
    figures.scheduler.go_threads = Some(8);
    figures.scheduler.processors = 4;
    figures.scheduler.latencies = histogram([0, 3, 2, 1, 0]);
    figures.scheduler.mutex_wait_ns = Some(1_500_000_000);
    figures.settings.gogc_percent = u64::MAX;
    figures.settings.memory_limit_bytes = Some(i64::MAX as u64);
    figures.collections.cycles = 30;
    figures.collections.forced = 10;
    figures.collections.pause_total_ns = 3_000_000;
    figures.stops.gc_total = Some(histogram([0, 0, 0, 60, 0]));
    observation.figures.state = Some(Arc::new(StateSample {
        at: SystemTime::UNIX_EPOCH + Duration::from_hours(500_000),
        figures: Arc::new(figures),
    }));
    observation.figures.differences = Differences {
        created: Some(0),
        ids: Some(16),
        cycles: Some(-2),
        pause_total_ns: Some(1_500_000),
    };
    for figure in Figure::STATE {
        Arc::make_mut(&mut observation.coverage.0).insert(figure, None);
    }
    observation
}

pub(crate) fn with_gc(mut observation: Observation) -> Observation {
    observation.figures.events.gc = Some(Arc::new(gc()));
    observation
}

pub(crate) fn in_container(mut observation: Observation, id: &str) -> Observation {
    Arc::make_mut(&mut observation.process).container = Some(Container {
        id: id.to_owned(),
        runtime: Runtime::Containerd,
        pod_uid: None,
    });
    observation
}

pub(crate) fn lacking(mut observation: Observation, figure: Figure, reason: Reason) -> Observation {
    let detail = format!("{} is not there", figure.label());
    Arc::make_mut(&mut observation.coverage.0).insert(figure, Some(Missing { reason, detail }));
    observation
}

/// The same, and nobody touches it.
pub(crate) fn left_alone(mut observation: Observation, reason: Reason) -> Observation {
    observation.figures = Figures::default();
    for figure in Figure::all() {
        observation = lacking(observation, figure, reason);
    }
    observation
}

pub(crate) fn snapshot(processes: Vec<Observation>) -> Arc<Snapshot> {
    let mut health = Health {
        targets: 2,
        sites: 24,
        interval: Duration::from_secs(1),
        ..Health::default()
    };
    health.inspected.insert("go", 3);
    health.map_entries.insert("PROCESSES", 5);
    health.kernel.refused_gc = 1;
    health.features.insert("btf", true);
    health.features.insert("private_stack", false);
    let symbol = runtime::Symbol {
        function: "main.(*server).listen".to_owned(),
        line: Some(42),
    };
    let walked = Walked {
        creators: vec![(symbol, 4)],
        other: 1,
        most: 5,
    };
    Arc::new(Snapshot {
        creators: Walks::over(&processes, &walked),
        at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_500),
        processes: processes.into_iter().map(Arc::new).collect(),
        past: Vec::new(),
        health,
        cluster: None,
    })
}

/// The snapshot with one of its processes in a pod.
pub(crate) fn in_a_pod(snapshot: Arc<Snapshot>, which: usize) -> Arc<Snapshot> {
    let pod = Arc::new(Pod {
        namespace: "shop".to_owned(),
        name: "old-0".to_owned(),
        uid: "8d0c6f2e-4a1b-4c3d-9e5f-0123456789ab".to_owned(),
        node: "node-a".to_owned(),
        workload: None,
    });
    let name = "server".to_owned();
    let mut places = vec![Place::Host; snapshot.processes.len()];
    places[which] = Place::Container(Arc::new(PodContainer { pod, name }));
    let cluster = Some(Arc::new(Cluster {
        places,
        ..Cluster::default()
    }));
    Arc::new(Snapshot {
        cluster,
        ..Arc::unwrap_or_clone(snapshot)
    })
}
