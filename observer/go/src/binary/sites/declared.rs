//! Sites of the families that are declared as spans.

use observer_ebpf::family::{
    FAMILIES, Family, Register as Word, Selection, SitePosition, Span, SpanFunction,
};
use observer_ebpf::{SpanSite, family::Stack};

use super::super::{
    FigureGroup, FunctionCode as Code, Gap, Site, SiteKind, SitePlan,
    isa::{InstructionSet, Registers},
};
use super::choose::FunctionEntry;
use super::decoded::{DecodedFunctions, Missing, Sites};
use crate::release::{GoVersion, rules};

/// Whether a span may have a site in the function of this name. Whichever is asked for:
/// what is not probed costs no more than the decoding of a function.
pub(super) fn wanted(version: GoVersion, name: &str) -> bool {
    let spans = FAMILIES.iter().filter_map(|family| family.span());
    spans
        .flat_map(functions)
        .any(|function| function.name == name && is_in(version, function))
}

/// Adds the sites of the selected families that are spans to those of all others.
pub(in super::super) fn declare(
    plan: &mut SitePlan,
    isa: &'static dyn InstructionSet,
    selection: Selection,
    version: GoVersion,
    functions: &[Code],
    offset_of: &dyn Fn(u64) -> Option<u64>,
) {
    let Some(rules) = rules(version.minor).filter(|_| selection.has_spans()) else {
        return;
    };
    let wanted = functions.iter().filter(|it| wanted(version, &it.name));
    let image = DecodedFunctions::new(isa, version, rules, wanted, offset_of);
    for (number, span) in spans(selection) {
        match sites(&image, number, span) {
            Ok(sites) => plan.sites.extend(sites),
            Err(missing) => plan.gaps.push(missing.gap(FigureGroup::Declared(number))),
        }
    }
}

/// Where a program has no site at all, the spans lack theirs for the same reason.
pub(in super::super) fn explain(plan: &mut SitePlan, selection: Selection) {
    let Some(Gap { reason, detail, .. }) = plan.gaps.first().cloned() else {
        return;
    };
    for (number, _) in spans(selection) {
        let figure = FigureGroup::Declared(number);
        let is_known = plan.declared().any(|known| known == number);
        if !is_known {
            plan.gaps.push(Gap {
                figure,
                reason,
                detail: detail.clone(),
            });
        }
    }
}

fn spans(selection: Selection) -> impl Iterator<Item = (u8, &'static Span)> {
    let span = |(number, family): (u8, &'static Family)| Some((number, family.span()?));
    selection.families().filter_map(span)
}

fn functions(span: &'static Span) -> impl Iterator<Item = &'static SpanFunction> {
    let label = span.label.iter().filter_map(|label| label.at.as_ref());
    span.begins.iter().chain(span.ends).chain(label)
}

const fn is_in(version: GoVersion, function: &SpanFunction) -> bool {
    function.since <= version.minor && version.minor <= function.until
}

/// Every site of a span, or none: one that begins unseen would end unmatched.
fn sites(image: &DecodedFunctions, number: u8, span: &'static Span) -> Sites {
    let label = span.label.as_ref();
    let at_begin = label.filter(|label| label.at.is_none());
    let (kind, register) = if span.ends.is_empty() {
        (SiteKind::SpanCounted, Word::None)
    } else {
        let register = at_begin.map_or(Word::None, |label| label.register);
        (SiteKind::SpanBegins, register)
    };
    let mut sites = of(image, number, kind, span.begins, register)?;
    if !span.ends.is_empty() {
        let kind = SiteKind::SpanEnds;
        sites.extend(of(image, number, kind, span.ends, Word::None)?);
    }
    if let Some(label) = label
        && let Some(at) = label.at
    {
        let kind = SiteKind::SpanLabelled;
        sites.extend(of(image, number, kind, &[at], label.register)?);
    }
    Ok(sites)
}

/// The sites in those of the functions that the program has, of which there must be one.
fn of(
    image: &DecodedFunctions,
    number: u8,
    kind: SiteKind,
    functions: &[SpanFunction],
    register: Word,
) -> Sites {
    let mut sites = Vec::new();
    let mut lacks = None;
    for function in functions.iter().filter(|it| is_in(image.version, it)) {
        if image.named(function.name).next().is_some() {
            sites.extend(in_one(image, number, kind, function, register)?);
        } else if let Err(missing) = image.function(function.name) {
            lacks = Some(missing);
        }
    }
    match lacks {
        Some(missing) if sites.is_empty() => Err(missing),
        None if sites.is_empty() => Err(none_in_release(image, functions)),
        _ => Ok(sites),
    }
}

fn none_in_release(image: &DecodedFunctions, functions: &[SpanFunction]) -> Missing {
    let first = functions.first().map_or("", |function| function.name);
    image.no_site(format!("{first} is not in this release"))
}

fn in_one(
    image: &DecodedFunctions,
    number: u8,
    kind: SiteKind,
    function: &SpanFunction,
    register: Word,
) -> Result<Vec<Site>, Missing> {
    let site = SpanSite {
        span: number,
        register: register as u8,
    };
    let aux = site.aux();
    if function.at == SitePosition::Returns {
        let code = image.function(function.name)?;
        let returns = code.returns();
        return returns
            .map(|index| image.site(kind, code, index, aux))
            .collect();
    }
    let is_told_apart = kind != SiteKind::SpanCounted;
    let goroutine = is_told_apart.then(|| image.isa.goroutine());
    let argument = match register {
        Word::None => None,
        Word::First => Some(image.argument(0)?),
        Word::Second => Some(image.argument(1)?),
        Word::Third => Some(image.argument(2)?),
        Word::Fourth => Some(image.argument(3)?),
    };
    let intact: Registers = goroutine.into_iter().chain(argument).collect();
    let entry = FunctionEntry {
        intact,
        growable: function.stack == Stack::Goroutine,
    };
    Ok(vec![image.entry_site(kind, function.name, entry, aux)?])
}

#[cfg(test)]
mod tests {
    use observer_ebpf::family::{
        Label, NEWEST, Register, SitePosition, Span, SpanFunction as Declared, Stack,
    };

    use super::{DecodedFunctions, SpanSite, sites};
    use crate::binary::{FunctionCode, Reason, SiteKind, isa};
    use crate::release::{Arch, GoVersion, rules};

    const WORK: Declared = Declared {
        name: "main.work",
        since: 18,
        until: NEWEST,
        stack: Stack::Goroutine,
        at: SitePosition::Entry,
    };
    const ENDS: Declared = Declared {
        at: SitePosition::Returns,
        ..WORK
    };
    const OLD: Declared = Declared { until: 20, ..WORK };
    const LACKS: Declared = Declared {
        name: "main.other",
        ..WORK
    };
    const NUMBER: u8 = 7;

    /// A stack check, `push rbp`, work, `ret`, and what calls for more stack.
    const CODE: [u8; 25] = [
        0x49, 0x3b, 0x66, 0x10, 0x76, 0x0c, 0x55, 0x48, 0x89, 0xe5, 0x90, 0x5d, 0xc3, 0xcc, 0xcc,
        0xcc, 0xcc, 0xcc, 0xe8, 0x00, 0x00, 0x00, 0x00, 0xeb, 0xe7,
    ];

    fn found(span: &'static Span) -> Result<Vec<(SiteKind, u64, SpanSite)>, Reason> {
        let version = GoVersion {
            minor: 26,
            patch: 0,
        };
        let functions = [FunctionCode {
            name: WORK.name.to_owned(),
            address: 0x1000,
            code: CODE.to_vec(),
        }];
        let offset_of = Some::<u64>;
        let isa = isa::of(Arch::Amd64);
        let rules = rules(version.minor).unwrap();
        let image = DecodedFunctions::new(isa, version, rules, functions.iter(), &offset_of);
        let sites = sites(&image, NUMBER, span).map_err(|missing| missing.reason)?;
        let of = |site: &super::Site| (site.kind, site.address - 0x1000, SpanSite::of(site.aux));
        Ok(sites.iter().map(of).collect())
    }

    fn site(register: Register) -> SpanSite {
        SpanSite {
            span: NUMBER,
            register: register as u8,
        }
    }

    #[test]
    fn a_span_stands_behind_the_stack_check_and_at_each_return() {
        static SPAN: Span = Span {
            begins: &[LACKS, WORK],
            ends: &[ENDS],
            label: Some(Label {
                name: "code",
                at: None,
                register: Register::Second,
            }),
        };
        let expected = [
            (SiteKind::SpanBegins, 6, site(Register::Second)),
            (SiteKind::SpanEnds, 12, site(Register::None)),
        ];
        assert_eq!(found(&SPAN), Ok(expected.to_vec()));
    }

    #[test]
    fn without_an_end_it_is_counted() {
        static SPAN: Span = Span {
            begins: &[WORK],
            ends: &[],
            label: None,
        };
        let expected = [(SiteKind::SpanCounted, 6, site(Register::None))];
        assert_eq!(found(&SPAN), Ok(expected.to_vec()));
    }

    #[test]
    fn it_is_whole_or_not_there() {
        static LACKS_ITS_END: Span = Span {
            begins: &[WORK],
            ends: &[LACKS],
            label: None,
        };
        static IS_GONE: Span = Span {
            begins: &[OLD],
            ends: &[],
            label: None,
        };
        assert_eq!(found(&LACKS_ITS_END), Err(Reason::NoFunction));
        assert_eq!(found(&IS_GONE), Err(Reason::NoSite));
    }
}
