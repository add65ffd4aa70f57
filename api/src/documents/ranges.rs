//! `Range` (RFC 9110, 14): which bytes of how many are wanted.

/// What a `Range` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ByteRanges {
    /// Everything: there is no such header, or it is to be ignored.
    Whole,
    /// These, in this order; at least one, each at least a byte.
    Ranges(Vec<std::ops::Range<u64>>),
    /// Nothing that is there.
    Unsatisfiable,
}

/// The most ranges that are answered one by one. Who asks for more, or for a byte twice, gets the whole: the RFC lets a
/// server ignore what looks like an attack.
const MAX_RANGES: usize = 8;

impl ByteRanges {
    /// Reads a header about something of `length` bytes. What is no range of bytes is ignored.
    pub(crate) fn from_header(header: &str, length: u64) -> Self {
        let Some((unit, set)) = header.split_once('=') else { return Self::Whole };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Self::Whole;
        }
        let mut parts: Vec<std::ops::Range<u64>> = Vec::new();
        for one in set.split(',').map(str::trim).filter(|one| !one.is_empty()) {
            let Some(range) = parse_range(one, length) else { return Self::Whole };
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
            sorted.windows(2).all(|two| two.first().map(|one| one.end) <= two.last().map(|other| other.start));
        match parts.len() {
            0 => Self::Unsatisfiable,
            _ if disjoint => Self::Ranges(parts),
            _ => Self::Whole,
        }
    }
}

/// One range; an empty one is beyond the end. None where it is none.
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

/// A number however long: what is more than any length is just that.
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
