//! `Accept`: which media types the client accepts, and how much it prefers each (RFC 9110, 12.5.1).

use axum::http::{HeaderMap, header};

/// The media ranges of a request.
pub(crate) struct Accept(Vec<MediaRange>);

struct MediaRange {
    /// The range without parameters, in lower case.
    name: String,
    /// Whether the range has parameters of the media type. Such a range is for special forms of the
    /// type only.
    has_parameters: bool,
    /// The quality in thousandths, from 0 to 1000.
    quality: u16,
}

impl Accept {
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        Self(values.flat_map(split_list).filter_map(parse_range).collect())
    }

    /// Returns the quality of a media type, by the most specific range that matches it. 0 if no range matches. 1000 if
    /// the request has no ranges, because it then accepts everything.
    pub(crate) fn quality(&self, media_type: &str) -> u16 {
        if self.0.is_empty() {
            return 1000;
        }
        let kind = media_type.split('/').next().unwrap_or_default();
        self.named_quality(media_type)
            .or_else(|| self.quality_of_range(&format!("{kind}/*")))
            .or_else(|| self.quality_of_range("*/*"))
            .unwrap_or(0)
    }

    /// Returns the quality of a media type that the request names without a wildcard.
    pub(crate) fn named_quality(&self, media_type: &str) -> Option<u16> {
        self.quality_of_range(media_type)
    }

    /// Returns the highest quality of the ranges with this name. Ranges with parameters count only if all ranges with
    /// this name have parameters.
    fn quality_of_range(&self, name: &str) -> Option<u16> {
        let highest = |has_parameters: bool| {
            let ranges = self.0.iter().filter(|range| range.name == name && range.has_parameters == has_parameters);
            ranges.map(|range| range.quality).max()
        };
        highest(false).or_else(|| highest(true))
    }
}

/// Splits a header at its commas, but not at those in quotation marks.
fn split_list(value: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    value.split(move |c| {
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && !escaped && c == '\\';
        c == ',' && !quoted
    })
}

fn parse_range(range: &str) -> Option<MediaRange> {
    let mut parts = range.split(';');
    let name = parts.next()?.trim().to_ascii_lowercase();
    if name.is_empty() {
        return None;
    }
    let (mut has_parameters, mut quality) = (false, 1000);
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        if key.trim().eq_ignore_ascii_case("q") {
            quality = parse_quality(value.trim());
            // The parts after the quality are extensions, and are ignored.
            break;
        }
        has_parameters |= !key.trim().is_empty();
    }
    Some(MediaRange { name, has_parameters, quality })
}

/// Parses a quality. A text that is not a number is taken as 1, because the client named the type.
fn parse_quality(text: &str) -> u16 {
    let quality: f32 = text.parse().unwrap_or(1.0);
    let thousandths = (quality * 1000.0).round().clamp(0.0, 1000.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped above; NaN becomes 0")]
    let thousandths = thousandths as u16;
    thousandths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_range_decides() {
        for (accept, quality) in [
            ("", 1000),
            ("image/png", 1000),
            ("image/png;q=0", 0),
            ("IMAGE/PNG ; Q=0.25", 250),
            ("image/*;q=0.5", 500),
            ("*/*;q=0.1, image/*;q=0.2", 200),
            ("*/*, image/*;q=0.2, image/png;q=0.3", 300),
            ("image/png;q=0.3, image/*, */*", 300),
            ("image/png;q=0, */*", 0),
            ("text/html", 0),
            ("image/png;x=y;q=0.5", 500),
            ("image/png;x=y;q=0.5, image/png;q=0.1", 100),
            ("image/png;x=\"a,b\";q=0.4", 400),
            ("image/png;q=2", 1000),
            ("image/png;q=nonsense", 1000),
            ("image/png;q=0.5;q=0.9", 500),
            (", ,image/png;q=0.001", 1),
        ] {
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(Accept::from_headers(&headers).quality("image/png"), quality, "{accept}");
        }
    }
}
