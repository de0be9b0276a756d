//! Values that need a closer look than their type: each is checked, and an error says
//! what was expected.

use std::time::Duration;

use axum::http::Uri;
use observer_probe::{Selection, UnknownFamily};

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3600);

pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let value = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; expected a duration such as 1s or 250ms"))?;
    if (SHORTEST..=LONGEST).contains(&value) {
        Ok(value)
    } else {
        Err(format!(
            "must be between {} and {}",
            humantime::format_duration(SHORTEST),
            humantime::format_duration(LONGEST)
        ))
    }
}

/// A family that is to be asked for.
pub(super) fn family(text: &str) -> Result<String, UnknownFamily> {
    Selection::default().with(text).map(|_| text.to_owned())
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    let expected = "expected percent of one CPU: a number above 0 and up to 100, such as 1 or 0.5";
    match text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 100.0 => Ok(value),
        _ => Err(expected.to_owned()),
    }
}

/// Most creators named: each is a series for each process.
const MOST_CREATORS: usize = 50;

pub(super) fn creators(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(value) if value <= MOST_CREATORS => Ok(value),
        _ => Err(format!("expected a whole number from 0 to {MOST_CREATORS}")),
    }
}

/// An address to ask at.
pub(super) fn url(text: &str) -> Result<Uri, String> {
    let expected = "expected an address such as https://localhost:9920";
    let url: Uri = text
        .parse()
        .map_err(|error| format!("{error}; {expected}"))?;
    let known = matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some();
    if known && url.query().is_none() {
        Ok(url)
    } else {
        Err(expected.to_owned())
    }
}
