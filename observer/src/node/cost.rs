//! What the probes have cost a process: its hits, each at the price of the
//! instruction that its probe stands on.

use observer_ebpf::{GoroutineFigures, SiteKind};

use super::observation::EventFigures;
use crate::{
    gobinary::{Site, SitePlan},
    probe::HitCost,
};

/// Nanoseconds that all probe hits took from a process.
pub fn cost_ns(plan: &SitePlan, price: HitCost, events: &EventFigures) -> f64 {
    let rare = events.gc.as_ref().map_or(0, |gc| gc.hits) as f64;
    // Which of them was hit is not counted; they are some ten in a collection.
    hot_cost_ns(plan, price, &events.goroutines)
        + rare * mean(plan, price, |site| !site.kind.is_hot())
}

/// Nanoseconds that the hits of the hot probes took.
pub(super) fn hot_cost_ns(plan: &SitePlan, price: HitCost, figures: &GoroutineFigures) -> f64 {
    [
        (SiteKind::GoroutineCreated, figures.created),
        (SiteKind::GoroutineExited, figures.exited),
        (SiteKind::SystemGoroutineCreated, figures.system_created),
        (SiteKind::SystemGoroutineExited, figures.system_exited),
    ]
    .into_iter()
    .filter(|(_, hits)| *hits > 0)
    .map(|(kind, hits)| hits as f64 * mean(plan, price, |site| site.kind == kind))
    .sum()
}

/// Nanoseconds that the creation and the end of one goroutine take.
pub(super) fn pair_cost_ns(plan: &SitePlan, price: HitCost) -> f64 {
    let one = GoroutineFigures {
        created: 1,
        exited: 1,
        ..GoroutineFigures::ZERO
    };
    hot_cost_ns(plan, price, &one)
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

    use super::{cost_ns, pair_cost_ns};
    use crate::{
        gobinary::{Site, SitePlan},
        node::EventFigures,
        probe::HitCost,
    };

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
        }
    }

    #[test]
    fn each_hit_has_the_price_of_its_site() {
        let plan = SitePlan {
            sites: vec![
                site(SiteKind::GoroutineCreated, true),
                site(SiteKind::GoroutineExited, false),
                site(SiteKind::GcStart, true),
                site(SiteKind::GcCycle, false),
            ],
            ..SitePlan::default()
        };
        let price = HitCost {
            emulated_ns: 100.0,
            single_stepped_ns: 1_000.0,
        };
        let mut gc = crate::export::fixtures::gc();
        gc.hits = 2;
        let events = EventFigures {
            goroutines: GoroutineFigures {
                created: 10,
                exited: 1,
                hits: 11,
                ..GoroutineFigures::ZERO
            },
            gc: Some(Box::new(gc)),
            ..EventFigures::default()
        };
        assert!((cost_ns(&plan, price, &events) - (1_000.0 + 1_000.0 + 2.0 * 550.0)).abs() < 1e-6);
        assert!((pair_cost_ns(&plan, price) - 1_100.0).abs() < 1e-6);
    }
}
