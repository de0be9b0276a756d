//! Answers made smaller, as `Accept-Encoding` asks.

use std::io::{self, Write};

use axum::http::{HeaderMap, header::ACCEPT_ENCODING};
use flate2::{Compression, write::GzEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// What is smaller than this stays as it is.
pub(super) const WORTHWHILE_BYTES: usize = 1024;

/// How an answer is made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentCoding {
    /// The smaller of the two here, so the first where both are as welcome.
    Gzip,
    Zstd,
}

impl ContentCoding {
    pub(super) const ALL: [Self; 2] = [Self::Gzip, Self::Zstd];

    /// As headers name it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// What a request asks for; `None` for the answer as it is.
    pub(super) fn asked(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(ACCEPT_ENCODING).iter();
        let lines: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        Self::negotiate(&lines.join(","))
    }

    /// The most welcome of those that are; `None` where the answer as it is is more so.
    fn negotiate(accept: &str) -> Option<Self> {
        let accepted: Vec<(String, f32)> = accept.split(',').filter_map(weighed).collect();
        let weight = |name: &str| {
            let of = |name| accepted.iter().find(|(it, _)| it == name);
            of(name).map(|(_, weight)| *weight)
        };
        let any = weight("*").unwrap_or(0.0);
        let plain = weight("identity").unwrap_or(0.0);
        let mut best = None;
        for coding in Self::ALL {
            let weight = weight(coding.name()).unwrap_or(any);
            if weight > 0.0 && weight >= plain && best.is_none_or(|(_, most)| weight > most) {
                best = Some((coding, weight));
            }
        }
        best.map(|(coding, _)| coding)
    }

    /// The body, smaller.
    pub(super) fn pack(self, body: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip => {
                // Exposition text repeats itself so much that more effort gains little.
                let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
                packed.write_all(body)?;
                packed.finish()
            }
            Self::Zstd => Ok(compress_to_vec(body, CompressionLevel::Fastest)),
        }
    }
}

/// A coding's name and how welcome it is, of an item such as `gzip;q=0.5`.
fn weighed(item: &str) -> Option<(String, f32)> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let name = match name.to_ascii_lowercase() {
        // By its old name.
        name if name == "x-gzip" => "gzip".to_owned(),
        name => name,
    };
    let mut weights = parts.filter_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let weight = weights.next_back().map_or(1.0, |weight| {
        let weight = weight.parse::<f32>().ok();
        weight.filter(|it| (0.0..=1.0).contains(it)).unwrap_or(0.0)
    });
    Some((name, weight))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::ContentCoding::{self, Gzip, Zstd};

    #[test]
    fn the_accept_encoding_header_decides() {
        for (accept, expected) in [
            ("", None),
            ("gzip", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("GZIP;Q=0.5", Some(Gzip)),
            ("zstd", Some(Zstd)),
            // A browser.
            ("gzip, deflate, br, zstd", Some(Gzip)),
            ("gzip;q=0.5, zstd", Some(Zstd)),
            ("zstd;q=0.5,gzip;q=0.4", Some(Zstd)),
            ("identity", None),
            ("identity;q=1, gzip;q=0.5", None),
            ("identity;q=0.5, gzip", Some(Gzip)),
            ("gzip;q=0", None),
            ("gzip;q=0.0, zstd;q=0", None),
            ("*", Some(Gzip)),
            ("gzip;q=0, *", Some(Zstd)),
            ("*;q=0", None),
            ("deflate, br", None),
            (";;,=;q=x,gzip;q=NaN", None),
            ("gzip;q=7", None),
        ] {
            assert_eq!(ContentCoding::negotiate(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn what_is_packed_can_be_unpacked() {
        let long = "go_goroutines{process=\"shop\",pid=\"10\"} 7\n".repeat(100_000);
        for body in ["", "x", &long] {
            let packed = Gzip.pack(body.as_bytes()).unwrap();
            let mut text = String::new();
            let mut unpacked = flate2::read::GzDecoder::new(&packed[..]);
            unpacked.read_to_string(&mut text).unwrap();
            assert_eq!(text, body);
            let packed = Zstd.pack(body.as_bytes()).unwrap();
            let mut text = String::new();
            let mut unpacked = ruzstd::decoding::StreamingDecoder::new(&packed[..]).unwrap();
            unpacked.read_to_string(&mut text).unwrap();
            assert_eq!(text, body);
        }
    }
}
