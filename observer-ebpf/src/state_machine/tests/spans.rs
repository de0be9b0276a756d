//! Spans of several goroutines at once: each is counted once, as its own, whatever
//! comes in between.

use std::{collections::BTreeMap, sync::Mutex};

use super::{model::World, turns::for_each_seed};
use crate::{
    Cookie, EventKind, ProcessKey, Registration, SiteKind, SpanSite, Target,
    family::{ProcessCounts as _, SpanFigures, SpanKey},
    ground::Registers,
    state_machine::{self, account::YOUNG},
};

const TGID: u32 = 100;
const TARGET: u32 = 5;
const SPAN: u8 = 3;
const OTHER: u8 = 4;
const THREADS: usize = 4;

/// What the spans of a number really did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Truth {
    begun: u64,
    abandoned: u64,
    unmatched: u64,
    hits: u64,
    ended: BTreeMap<u32, u64>,
}

fn hit(world: &World, cpu: usize, kind: SiteKind, span: u8, goroutine: u64, label: u64) {
    let site = SpanSite { span, register: 2 };
    let cookie = Cookie::of_span(kind, TARGET, site, 600);
    let registers = Registers {
        rbx: label,
        r14: goroutine,
        ..Registers::default()
    };
    state_machine::hit(world.kernel(TGID, cpu), TGID, kind, cookie, || registers);
}

/// The figures of a span by label, summed over CPUs.
fn figures(world: &World, span: u8) -> BTreeMap<u32, SpanFigures> {
    let mut all = BTreeMap::<u32, SpanFigures>::new();
    for ((key, _), figures) in &world.state().spans.entries {
        if key.span == u32::from(span) {
            // SAFETY: a value of the map, and nobody else runs any more.
            all.entry(key.label).or_default().add(unsafe { &**figures });
        }
    }
    all
}

fn counted(world: &World, span: u8) -> Truth {
    let mut truth = Truth::default();
    for (label, figures) in figures(world, span) {
        truth.begun += figures.begun;
        truth.abandoned += figures.abandoned;
        truth.unmatched += figures.unmatched;
        truth.hits += figures.hits;
        if figures.ended > 0 {
            truth.ended.insert(label, figures.ended);
        }
        assert_eq!(figures.buckets.iter().sum::<u64>(), figures.ended);
    }
    truth
}

/// Goroutines go from thread to thread and from CPU to CPU, and their spans may be
/// left by a panic, call themselves, or have begun before the probes.
#[test]
fn each_span_is_counted_once_as_its_own() {
    for_each_seed(100, |seed| {
        let world = World::new(seed, THREADS);
        let truths = Mutex::new([Truth::default(), Truth::default()]);
        world.turns.run(|thread| {
            let mut open = BTreeMap::<(u64, u8), u32>::new();
            for _ in 0..40 {
                let (goroutine, span, cpu, what, label) = world.random(|random| {
                    let goroutine = 0xc000_0000 + 0x200 * (8 * thread + random.below(3)) as u64;
                    let label = random.of(&[0, 200, 404, 599, 600, u64::MAX]);
                    (
                        goroutine,
                        random.of(&[SPAN, OTHER]),
                        random.below(3),
                        random.below(4),
                        label,
                    )
                });
                let known = if label < 600 { label as u32 } else { 0 };
                let key = (goroutine, span);
                let kind = match what {
                    0 => SiteKind::SpanBegins,
                    1 => SiteKind::SpanEnds,
                    2 => SiteKind::SpanLabelled,
                    _ => SiteKind::SpanCounted,
                };
                hit(&world, cpu, kind, span, goroutine, label);
                let truth = &mut truths.lock().expect("no panic")[usize::from(span == OTHER)];
                truth.hits += 1;
                match kind {
                    SiteKind::SpanBegins => {
                        truth.begun += 1;
                        truth.abandoned += u64::from(open.insert(key, known).is_some());
                    }
                    SiteKind::SpanEnds => match open.remove(&key) {
                        Some(label) => *truth.ended.entry(label).or_default() += 1,
                        None => truth.unmatched += 1,
                    },
                    SiteKind::SpanLabelled => {
                        open.entry(key).and_modify(|label| *label = known);
                    }
                    _ => truth.begun += 1,
                }
            }
        });
        let [span, other] = truths.into_inner().expect("no panic");
        assert_eq!(counted(&world, SPAN), span);
        assert_eq!(counted(&world, OTHER), other);
        let counted = u64::try_from(world.state().in_flight.entries.len()).expect("few");
        let ends = |truth: &Truth| truth.ended.values().sum::<u64>() + truth.abandoned;
        // Those without an end are never in flight.
        assert!(counted <= span.begun + other.begun - ends(&span) - ends(&other));
    });
}

/// From one call to the next of the clock.
#[test]
fn durations_fall_where_they_belong() {
    let world = World::new(1, 1);
    for (took, bucket) in [
        (0, 0),
        (4_900_000, 0),
        (5_100_000, 1),
        (9_900_000_000, 13),
        (60_000_000_000, 14),
    ] {
        hit(&world, 0, SiteKind::SpanBegins, SPAN, 0xc000_0000, 200);
        let began = world.state().told[&TGID];
        world.state().clock += took;
        let before = figures(&world, SPAN).get(&200).copied().unwrap_or_default();
        hit(&world, 1, SiteKind::SpanEnds, SPAN, 0xc000_0000, 0);
        let took = world.state().told[&TGID] - began;
        let after = figures(&world, SPAN)[&200];
        assert_eq!(after.sum_ns, before.sum_ns + took);
        assert_eq!(after.buckets[bucket], before.buckets[bucket] + 1, "{took}");
    }
    assert_eq!(SpanFigures::bucket(5_000_000), 0);
    assert!(world.state().in_flight.entries.is_empty());
}

/// Spans have an account of their own.
#[test]
fn a_storm_of_spans_is_told_of() {
    for age in [2 * YOUNG, YOUNG / 2] {
        let world = World::new(1, 1);
        {
            let mut state = world.state();
            let registration = Registration {
                epoch: (state.clock >> 10) as u32 - age,
                target: TARGET,
                repaid_at_ns: 0,
                stops_repaid_at_ns: 0,
                spans_repaid_at_ns: 0,
            };
            state.processes.insert(TGID, registration);
            state.targets.insert(TARGET, Target::default());
            (state.repayment, state.burst_ns) = (100, 20_000_000);
        }
        let mut hits = 0;
        while world.state().events.is_empty() {
            hit(&world, 0, SiteKind::SpanCounted, SPAN, 0xc000_0000, 0);
            hits += 1;
            assert!(hits < 100_000, "nobody was told");
        }
        assert!(hits * 600 >= 20_000_000, "told of {hits} hits");
        let state = world.state();
        assert!(
            state
                .events
                .iter()
                .all(|it| it.kind == EventKind::TooManySpans)
        );
        let key = ProcessKey {
            tgid: TGID,
            epoch: state.events[0].process.epoch,
        };
        let of_span = |(it, _): &(SpanKey, usize)| it.process == key && it.label == 0;
        assert!(state.spans.entries.keys().all(of_span));
        // SAFETY: values of the maps, and nobody runs but this thread.
        let others = unsafe {
            let (process, target) = (
                *state.processes.entries[&TGID],
                *state.targets.entries[&TARGET],
            );
            [
                process.repaid_at_ns,
                process.stops_repaid_at_ns,
                target.repaid_at_ns,
                target.stops_repaid_at_ns,
            ]
        };
        assert_eq!(others, [0; 4]);
    }
}
