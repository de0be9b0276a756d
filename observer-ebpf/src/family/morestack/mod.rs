//! How often goroutines ran out of stack: calls of `runtime.morestack`.

use super::{At, Family, Figure, Function, NEWEST, Of, Sites, Span, Stack, Thinning};

pub(super) static FAMILY: Family = Family {
    name: "morestack",
    on_request: true,
    groups: &["morestack"],
    thinning: Thinning::Measured,
    sites: Sites::Declared(&Span {
        begins: &[Function {
            name: "runtime.morestack",
            since: 17,
            until: NEWEST,
            // It has no stack check of its own, which is what it is called by.
            stack: Stack::System,
            at: At::Entry,
        }],
        ends: &[],
        label: None,
    }),
    figures: &[Figure {
        name: "go_sched_stack_growths",
        help: "Count of times that a goroutine had too little stack for a function, or was asked to yield there, since the probes were attached.",
        unit: None,
        source: "no name in runtime/metrics: calls of runtime.morestack",
        of: Of::Begun,
    }],
};
