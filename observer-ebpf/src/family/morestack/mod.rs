//! How often goroutines ran out of stack: calls of `runtime.morestack`.

use super::{
    CostControl, Family, NEWEST, SitePosition, Sites, Span, SpanFunction, SpanMetric, SpanQuantity,
    Stack,
};

pub(super) static FAMILY: Family = Family {
    name: "morestack",
    on_request: true,
    groups: &["morestack"],
    thinning: CostControl::Measured,
    sites: Sites::Declared(&Span {
        begins: &[SpanFunction {
            name: "runtime.morestack",
            since: 17,
            until: NEWEST,
            // It has no stack check of its own, which is what it is called by.
            stack: Stack::System,
            at: SitePosition::Entry,
        }],
        ends: &[],
        label: None,
    }),
    figures: &[SpanMetric {
        name: "go_sched_stack_growths",
        help: "Count of times that a goroutine had too little stack for a function, or was asked to yield there, since the probes were attached.",
        unit: None,
        source: "no name in runtime/metrics: calls of runtime.morestack",
        of: SpanQuantity::Begun,
    }],
};
