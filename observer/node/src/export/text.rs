//! OpenMetrics 1.0 and Prometheus text 0.0.4 from what prometheus-client wrote.

use std::borrow::Cow;

use super::{
    families,
    family::{Family, Kind},
};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Prometheus,
}

impl Format {
    /// Its `Content-Type`.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// What an `Accept` header asks for: the higher quality, OpenMetrics on a
    /// tie where it is named; Prometheus text where nothing fits, as scrapers expect.
    pub(crate) fn negotiate(accept: &str) -> Self {
        let quality = |format: Self| {
            accept
                .split(',')
                .filter_map(|range| format.matches(range))
                .max_by_key(|&(specificity, _)| specificity)
                .unwrap_or((0, 0.0))
        };
        let (named, open_metrics) = quality(Self::OpenMetrics);
        let (_, prometheus) = quality(Self::Prometheus);
        if named == NAMED && open_metrics > 0.0 && open_metrics >= prometheus {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// How specific a media range is about this format, and its quality;
    /// `None` where it does not mean it.
    fn matches(self, range: &str) -> Option<(u8, f32)> {
        let (full, half, version) = match self {
            Self::OpenMetrics => ("application/openmetrics-text", "application/*", "1.0.0"),
            Self::Prometheus => ("text/plain", "text/*", "0.0.4"),
        };
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next()?;
        let specificity = if media.eq_ignore_ascii_case(full) {
            NAMED
        } else if media.eq_ignore_ascii_case(half) {
            2
        } else if media == "*/*" {
            1
        } else {
            return None;
        };
        let mut quality = 1.0;
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim() {
                "q" | "Q" => {
                    quality = value
                        .parse::<f32>()
                        .ok()
                        .filter(|q| (0.0..=1.0).contains(q))
                        .unwrap_or(0.0);
                }
                "version" if value != version => return None,
                _ => {}
            }
        }
        Some((specificity, quality))
    }
}

const NAMED: u8 = 3;

/// What the library cannot say, put right line by line: summaries, `le` as
/// Go's tools write it, and for Prometheus text the names of counters.
pub(super) fn finish(raw: &str, format: Format) -> String {
    let mut out = String::with_capacity(raw.len() + raw.len() / 16);
    for line in raw.split_terminator('\n') {
        match line.strip_prefix("# ") {
            Some(comment) => describe(comment, format, &mut out),
            None => sample(line, &mut out),
        }
    }
    out
}

fn describe(comment: &str, format: Format, out: &mut String) {
    let mut words = comment.splitn(3, ' ');
    let (keyword, name, rest) = (words.next().unwrap_or(""), words.next(), words.next());
    let (Some(name), Some(rest)) = (name, rest) else {
        if format == Format::OpenMetrics {
            out.push_str("# EOF\n");
        }
        return;
    };
    if keyword == "UNIT" && format == Format::Prometheus {
        return;
    }
    let kind = families::with_requested()
        .find(|family: &&Family| family.name == name)
        .map(|family| family.kind);
    let total = if format == Format::Prometheus && kind == Some(Kind::Counter) {
        "_total"
    } else {
        ""
    };
    let rest = match (keyword, kind) {
        ("TYPE", Some(Kind::Summary)) => "summary",
        ("TYPE", Some(Kind::Clashing)) if format == Format::Prometheus => "counter",
        _ => rest,
    };
    for part in ["# ", keyword, " ", name, total, " ", rest, "\n"] {
        out.push_str(part);
    }
}

fn sample(line: &str, out: &mut String) {
    // The library writes `le` first, so no other label's value can look like it.
    let le = line.find('{').and_then(|brace| {
        let start = brace + r#"{le=""#.len();
        line[..brace].ends_with("_bucket").then_some(())?;
        line.get(brace..start).filter(|text| *text == r#"{le=""#)?;
        let end = start + line.get(start..)?.find('"')?;
        Some((start, end))
    });
    if let Some((start, end)) = le {
        out.push_str(&line[..start]);
        out.push_str(&canonical(&line[start..end]));
        out.push_str(&line[end..]);
    } else {
        out.push_str(line);
    }
    out.push('\n');
}

/// A number as Go's `strconv` writes it (`6.4e-08`, not `6.4e-8` or
/// `0.000000064`): labels are compared as text.
fn canonical(number: &str) -> Cow<'_, str> {
    let Some(value) = number.parse::<f64>().ok().filter(|value| value.is_finite()) else {
        return Cow::Borrowed(number);
    };
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return Cow::Borrowed(number);
    };
    Cow::Owned(match exponent.parse::<i32>() {
        Ok(power) if !(-4..21).contains(&power) => format!("{mantissa}e{power:+03}"),
        _ => value.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_decides() {
        use Format::{OpenMetrics, Prometheus};
        let cases = [
            ("", Prometheus),
            ("*/*", Prometheus),
            ("application/openmetrics-text", OpenMetrics),
            (
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=2.0.0,text/plain;q=0.1",
                Prometheus,
            ),
            // Prometheus 2 and 3.
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
            (
                "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.8",
                Prometheus,
            ),
            ("application/openmetrics-text;q=0,*/*", Prometheus),
            ("application/openmetrics-text;q=0.2,*/*;q=0.1", OpenMetrics),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Prometheus),
            ("image/png", Prometheus),
            (";;,=;q=x,application/openmetrics-text;q=NaN", Prometheus),
        ];
        for (accept, format) in cases {
            assert_eq!(Format::negotiate(accept), format, "{accept}");
        }
    }

    #[test]
    fn le_is_written_as_go_writes_it() {
        for (number, go) in [
            ("6.399999999999999e-8", "6.399999999999999e-08"),
            ("0.00000006399999999999999", "6.399999999999999e-08"),
            ("1e21", "1e+21"),
            ("0.0009", "0.0009"),
            ("9.175e-4", "0.0009175"),
            ("+Inf", "+Inf"),
        ] {
            assert_eq!(canonical(number), go);
        }
    }
}
