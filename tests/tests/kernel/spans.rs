//! Families of probes that are declared as spans.

use std::fs::File;

use observer_go::binary::{Binary, Inspected, Reason, SiteKind, inspect_for};
use observer_probe::{
    Kernel, LoadOptions, ProbeGroup, Probes, ProcessKey, Selection, SpanFigures, SpanLabel,
};
use observer_tests::{
    Workload,
    paths::{GO, VERSIONS, fixture},
};

const TARGET: u32 = 1;
/// A family that only counts, and nothing else knows of.
const FAMILY: &str = "morestack";

fn asked() -> Selection {
    Selection::default().with(FAMILY).expect("a family")
}

fn inspected(version: &str) -> Binary {
    let file = File::open(fixture("workload", version, "default")).expect("the program");
    match inspect_for(&file, asked()) {
        Ok(Inspected::Go(binary)) => *binary,
        other => panic!("{version}: no Go program: {other:?}"),
    }
}

fn probes() -> Probes {
    let options = LoadOptions {
        selection: asked(),
        ..LoadOptions::default()
    };
    Probes::load(Kernel::read(), options).expect("the programs")
}

/// The program with the probes of the plan, and its place in the maps.
fn start(probes: &mut Probes, binary: &Binary) -> (Workload, ProcessKey) {
    let path = fixture("workload", GO, "default");
    let attached = probes.attach(TARGET, &path, &binary.plan);
    let attached = attached.expect("the probes");
    assert!(attached.refused.is_empty(), "{:?}", attached.refused);
    let w = Workload::start(&path);
    let registration = probes.register(w.pid, TARGET).expect("a place");
    let key = ProcessKey {
        tgid: w.pid,
        epoch: registration.expect("it runs").epoch,
    };
    (w, key)
}

fn number(binary: &Binary) -> u8 {
    binary.plan.declared().next().expect("the family")
}

fn counted(probes: &Probes, key: ProcessKey, span: u8) -> SpanFigures {
    let spans = probes.spans(key);
    let found = spans.get(&SpanLabel { span, label: 0 });
    found.copied().unwrap_or_default()
}

#[test]
fn every_release_has_the_function_and_an_emulated_site() {
    for version in VERSIONS {
        let binary = inspected(version);
        let number = number(&binary);
        let sites = binary.plan.sites.iter();
        let of_family = sites.filter(|site| site.group().family() == number);
        let kinds: Vec<_> = of_family.map(|it| (it.kind, it.emulated)).collect();
        assert_eq!(kinds, [(SiteKind::SpanCounted, true)], "{version}");
        let gap = |reason| binary.plan.gaps.iter().any(|gap| gap.reason == reason);
        assert!(!gap(Reason::NoFunction), "{version}");
    }
}

#[test]
fn stacks_that_grow_are_counted_and_come_and_go_with_their_group() {
    let mut probes = probes();
    let binary = inspected(GO);
    let number = number(&binary);
    let (mut w, key) = start(&mut probes, &binary);
    let mut growths = |probes: &Probes| {
        let before = counted(probes, key, number).begun;
        w.run("deep 100");
        counted(probes, key, number).begun - before
    };
    // From a few kilobytes to a hundred: each of them four times at least.
    let grown = growths(&probes);
    assert!((400..10_000).contains(&grown), "{grown}");
    let group = ProbeGroup::new(number, 0);
    let off = probes.set_group(TARGET, group, false).expect("off");
    assert_eq!(off, None);
    let on = probes.set_group(TARGET, group, true).expect("on again");
    assert!(on.is_some());
    let grown = growths(&probes);
    assert!((400..10_000).contains(&grown), "{grown}");
    let figures = counted(&probes, key, number);
    assert_eq!((figures.hits, figures.ended), (figures.begun, 0));
    probes.take(key);
    assert!(probes.spans(key).is_empty());
}

/// The way of a collection from `gcStart` to `gcBgMarkStartWorkers`, in one goroutine,
/// as if it were a span.
#[test]
fn a_span_is_timed() {
    let mut probes = probes();
    let mut binary = inspected(GO);
    let number = number(&binary);
    let sites = &mut binary.plan.sites;
    sites.retain(|site| matches!(site.kind, SiteKind::GcStart | SiteKind::GcCycle));
    for site in sites.iter_mut() {
        site.kind = match site.kind {
            SiteKind::GcStart => SiteKind::SpanBegins,
            _ => SiteKind::SpanEnds,
        };
        site.aux = i32::from(number);
    }
    assert_eq!(sites.len(), 2);
    let (mut w, key) = start(&mut probes, &binary);
    w.run("gc 20");
    let figures = counted(&probes, key, number);
    assert!(figures.ended >= 20, "{figures:?}");
    assert!(figures.begun >= figures.ended, "{figures:?}");
    assert_eq!(figures.buckets.iter().sum::<u64>(), figures.ended);
    assert_eq!(figures.unmatched, 0);
    let mean_ns = figures.sum_ns / figures.ended;
    assert!((1_000..100_000_000).contains(&mean_ns), "{mean_ns} ns");
}
