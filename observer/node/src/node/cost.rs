//! What the probes have cost a process: its hits, each at the price of the
//! instruction that its probe stands on.

use observer_ebpf::{
    GoroutineFigures, ProbeGroup, SiteKind,
    family::{FAMILIES, ProcessCounts as _},
};
use observer_go::binary::{Site, SitePlan};
use observer_probe::HitCost;

use super::{budget::Cost, observation::EventFigures};

/// Nanoseconds that all probe hits took from a process.
pub(crate) fn cost_ns(plan: &SitePlan, price: HitCost, events: &EventFigures) -> f64 {
    let families = 0..FAMILIES.len() as u8;
    families
        .map(|family| of_family(plan, price, events, family).sum())
        .sum()
}

/// Nanoseconds that the hits of a family's probes took.
pub(super) fn of_family(
    plan: &SitePlan,
    price: HitCost,
    events: &EventFigures,
    family: u8,
) -> Cost {
    const GOROUTINES: u8 = ProbeGroup::EXACT.family();
    const STOPS: u8 = ProbeGroup::RARE.family();
    let group = ProbeGroup::new(family, 0);
    let of_all = |hits: u64| match hits {
        0 => Cost::default(),
        // Which of them was hit is not counted.
        hits => Cost([
            hits as f64 * mean(plan, price, |site| site.group() == group),
            0.0,
        ]),
    };
    match family {
        GOROUTINES => goroutines(plan, price, &events.goroutines),
        STOPS => of_all(events.gc.as_ref().map_or(0, |gc| gc.hits)),
        span => {
            let its = events.spans.iter().filter(|(label, _)| label.span == span);
            of_all(its.map(|(_, figures)| figures.hits()).sum())
        }
    }
}

/// Nanoseconds that the hits of the probes on goroutines took.
fn goroutines(plan: &SitePlan, price: HitCost, figures: &GoroutineFigures) -> Cost {
    let mut cost = Cost::default();
    for kind in SiteKind::ALL {
        let hits = figures.of_kind(kind);
        if hits > 0 {
            let tier = usize::from(ProbeGroup::of(kind, 0).tier());
            cost.0[tier] += hits as f64 * mean(plan, price, |site| site.kind == kind);
        }
    }
    cost
}

/// Nanoseconds that the creation and the end of one goroutine take.
pub(super) fn of_one(plan: &SitePlan, price: HitCost) -> Cost {
    let one = GoroutineFigures {
        created: 1,
        exited: 1,
        goid_refills: 1,
        ..GoroutineFigures::ZERO
    };
    let Cost([batch_ns, exact_ns]) = goroutines(plan, price, &one);
    let weight = |site: &Site| (site.kind == SiteKind::GoidRefill).then_some(site.weight);
    let batch = plan.sites.iter().find_map(weight).unwrap_or(1);
    Cost([batch_ns / f64::from(batch.max(1)), exact_ns])
}

fn mean(plan: &SitePlan, price: HitCost, is_meant: impl Fn(&Site) -> bool) -> f64 {
    let (mut sum, mut sites) = (0.0, 0.0);
    for site in plan.sites.iter().filter(|site| is_meant(site)) {
        sum += price.of(site);
        sites += 1.0;
    }
    if sites > 0.0 { sum / sites } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use observer_ebpf::{GoroutineFigures, SiteKind};
    use observer_go::binary::{Site, SitePlan, Text};
    use observer_probe::HitCost;

    use std::sync::Arc;

    use super::{cost_ns, of_one};
    use crate::node::observation::EventFigures;

    fn site(kind: SiteKind, emulated: bool) -> Site {
        Site {
            kind,
            function: String::new(),
            address: 0,
            offset: 0,
            instruction: String::new(),
            emulated,
            weight: 1,
            aux: 0,
            text: Text::default(),
        }
    }

    #[test]
    fn each_hit_has_the_price_of_its_site() {
        let plan = SitePlan {
            sites: vec![
                site(SiteKind::GoroutineCreated, true),
                site(SiteKind::GoroutineExited, false),
                Site {
                    weight: 16,
                    ..site(SiteKind::GoidRefill, true)
                },
                site(SiteKind::GcStart, true),
                site(SiteKind::GcCycle, false),
            ],
            ..SitePlan::default()
        };
        let price = HitCost {
            emulated_ns: 100.0,
            single_stepped_ns: 1_000.0,
        };
        let mut gc = crate::fixtures::gc();
        gc.hits = 2;
        let events = EventFigures {
            goroutines: GoroutineFigures {
                created: 10,
                exited: 1,
                goid_refills: 3,
                ..GoroutineFigures::ZERO
            },
            gc: Some(Arc::new(gc)),
            ..EventFigures::default()
        };
        let expected = 1_000.0 + 1_000.0 + 300.0 + 2.0 * 550.0;
        assert!((cost_ns(&plan, price, &events) - expected).abs() < 1e-6);
        let one = of_one(&plan, price);
        assert!((one.0[1] - 1_100.0).abs() < 1e-6);
        assert!((one.0[0] - 100.0 / 16.0).abs() < 1e-6);
    }
}
