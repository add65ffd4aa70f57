//! `Range` (RFC 9110, 14): which bytes the client requests.

/// What a `Range` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ByteRanges {
    /// The whole content, because there is no `Range` header or it is ignored.
    Whole,
    /// These ranges, in this order. There is at least one, and each has at least one byte.
    Ranges(Vec<std::ops::Range<u64>>),
    /// None of the requested bytes exist.
    Unsatisfiable,
}

/// The most ranges that one response has. A request for more ranges, or for overlapping ranges, gets the whole
/// content. The RFC permits that, because such a request looks like an attack.
const MAX_RANGES: usize = 8;

impl ByteRanges {
    /// Parses a header for content of `length` bytes. An invalid header is ignored.
    pub(crate) fn from_header(header: &str, length: u64) -> Self {
        let Some((unit, set)) = header.split_once('=') else { return Self::Whole };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Self::Whole;
        }
        let mut parts: Vec<std::ops::Range<u64>> = Vec::new();
        for text in set.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let Some(range) = parse_range(text, length) else { return Self::Whole };
            if range.start < range.end {
                parts.push(range);
            }
            if parts.len() > MAX_RANGES {
                return Self::Whole;
            }
        }
        if set.trim().is_empty() {
            return Self::Whole;
        }
        let mut sorted = parts.clone();
        sorted.sort_by_key(|part| part.start);
        let disjoint =
            sorted.windows(2).all(|pair| pair.first().map(|first| first.end) <= pair.last().map(|next| next.start));
        match parts.len() {
            0 => Self::Unsatisfiable,
            _ if disjoint => Self::Ranges(parts),
            _ => Self::Whole,
        }
    }
}

/// Parses one range. A range beyond the end is empty. None if the text is no range.
fn parse_range(text: &str, length: u64) -> Option<std::ops::Range<u64>> {
    let (first, last) = text.split_once('-')?;
    match (first.trim(), last.trim()) {
        ("", "") => None,
        ("", suffix) => Some(length.saturating_sub(parse_number(suffix)?)..length),
        (first, "") => Some(parse_number(first)?.min(length)..length),
        (first, last) => {
            let (first, last) = (parse_number(first)?, parse_number(last)?);
            (first <= last).then(|| first.min(length)..last.saturating_add(1).min(length))
        }
    }
}

/// Parses a number of any length. A number that is too large becomes the largest possible value.
fn parse_number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a list of one range is what is meant")]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        for (header, wanted) in [
            ("bytes=0-0", ByteRanges::Ranges(vec![0..1])),
            ("bytes=2-5", ByteRanges::Ranges(vec![2..6])),
            ("bytes=-3", ByteRanges::Ranges(vec![7..10])),
            ("bytes=-99", ByteRanges::Ranges(vec![0..10])),
            ("bytes=7-", ByteRanges::Ranges(vec![7..10])),
            ("Bytes = 7-99", ByteRanges::Ranges(vec![7..10])),
            ("bytes=0-99999999999999999999999", ByteRanges::Ranges(vec![0..10])),
            ("bytes=0-18446744073709551615", ByteRanges::Ranges(vec![0..10])),
            ("bytes=10-", ByteRanges::Unsatisfiable),
            ("bytes=99999999999999999999999-", ByteRanges::Unsatisfiable),
            ("bytes=-0", ByteRanges::Unsatisfiable),
            ("bytes=0-1, 4-5,-1", ByteRanges::Ranges(vec![0..2, 4..6, 9..10])),
            ("bytes=8-9,0-1,20-", ByteRanges::Ranges(vec![8..10, 0..2])),
            ("bytes=0-5,5-9", ByteRanges::Whole),
            ("bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8", ByteRanges::Whole),
            ("bytes=5-2", ByteRanges::Whole),
            ("bytes=", ByteRanges::Whole),
            ("bytes=-", ByteRanges::Whole),
            ("bytes=a-b", ByteRanges::Whole),
            ("bytes=+1-2", ByteRanges::Whole),
            ("lines=0-1", ByteRanges::Whole),
            ("0-1", ByteRanges::Whole),
        ] {
            assert_eq!(ByteRanges::from_header(header, 10), wanted, "{header}");
        }
        assert_eq!(ByteRanges::from_header("bytes=0-", 0), ByteRanges::Unsatisfiable);
    }
}
