//! Conditional requests, RFC 9110, section 13.

use axum::http::{HeaderMap, header};
use domain::ExpectedVersion;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::error::ApiError;

/// What a write would change, as clients know it. `V` is the version as the records know it.
pub(crate) struct CurrentVersion<V> {
    pub(crate) version: V,
    /// The ETags of its representations. Clients may have any of them.
    pub(crate) tags: Vec<String>,
    /// When it was last changed, if that is known.
    pub(crate) modified_at: Option<Timestamp>,
}

/// Returns the ETag of a content with this digest.
pub(crate) fn etag(sha256: &str) -> String {
    format!("\"{sha256}\"")
}

/// Checks `If-Match` (RFC 9110, 13.1.1) against this ETag. Without this check, a client could
/// combine a range of these bytes with other bytes. It comes before all other checks of the ETag.
pub(crate) fn check_if_match(headers: &HeaderMap, tag: &str) -> Result<(), ApiError> {
    let fine = matches_if_match(headers, |theirs| theirs == tag).unwrap_or(true);
    if fine { Ok(()) } else { Err(ApiError::PreconditionFailed) }
}

/// Returns whether `is_current` accepts one of the ETags in `If-Match`. None if the request does not have it.
fn matches_if_match(headers: &HeaderMap, is_current: impl Fn(&str) -> bool) -> Option<bool> {
    headers.get(header::IF_MATCH)?;
    let values = headers.get_all(header::IF_MATCH).iter();
    let mut theirs = values.flat_map(|value| value.to_str().unwrap_or_default().split(',')).map(str::trim);
    // The ETags here are strong, and `If-Match` uses the strong comparison, so a weak tag never matches.
    Some(theirs.any(|theirs| theirs == "*" || is_current(theirs)))
}

/// Returns whether a write has a condition, so that the current version of what it changes has to
/// be known.
pub(crate) fn has_write_condition(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_MATCH) || headers.contains_key(header::IF_UNMODIFIED_SINCE)
}

/// Evaluates the conditions of a write (RFC 9110, 13.2.2): `If-Match`, or else `If-Unmodified-Since`. Returns what the
/// write expects, which the records check in its transaction: the version may change after this.
///
/// A date that is not valid is ignored, as 13.1.4 requires, and so is one if the time of the last change is not known.
/// `If-Match: *` holds for every version that exists.
pub(crate) fn expected_version<V>(headers: &HeaderMap, current: CurrentVersion<V>) -> ExpectedVersion<V> {
    let exactly = |fine| if fine { ExpectedVersion::Exactly(current.version) } else { ExpectedVersion::Outdated };
    if matches_if_match(headers, |_| false) == Some(true) {
        return ExpectedVersion::Any;
    }
    if let Some(fine) = matches_if_match(headers, |theirs| current.tags.iter().any(|tag| tag == theirs)) {
        return exactly(fine);
    }
    let since = headers.get(header::IF_UNMODIFIED_SINCE).and_then(|since| since.to_str().ok());
    let since = since.and_then(|since| rfc2822::DateTimeParser::new().parse_timestamp(since).ok());
    match (since, current.modified_at) {
        // A date in a header has whole seconds.
        (Some(since), Some(modified)) => exactly(modified.as_second() <= since.as_second()),
        _ => ExpectedVersion::Any,
    }
}

/// The error for a write whose condition does not hold.
pub(crate) fn write_condition_error(headers: &HeaderMap) -> ApiError {
    if headers.contains_key(header::IF_MATCH) { ApiError::PreconditionFailed } else { ApiError::ModifiedSince }
}

/// Returns whether the client has the bytes with this ETag (`If-None-Match`).
pub(crate) fn matches_if_none_match(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|theirs| theirs.trim().trim_start_matches("W/"))
        .any(|theirs| theirs == tag || theirs == "*")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_write_expects_the_version_for_which_its_condition_holds() {
        use ExpectedVersion::{Any, Exactly, Outdated};
        let modified_at = Some("2026-11-21T12:00:00.7Z".parse().unwrap());
        for (headers, expected) in [
            (&[][..], Any),
            (&[("if-match", "\"b\"")], Exactly(7)),
            (&[("if-match", "\"x\" , \"a\"")], Exactly(7)),
            (&[("if-match", "*")], Any),
            (&[("if-match", "\"x\"")], Outdated),
            (&[("if-match", "W/\"a\"")], Outdated),
            (&[("if-match", "")], Outdated),
            (&[("if-unmodified-since", "Sat, 21 Nov 2026 12:00:00 GMT")], Exactly(7)),
            (&[("if-unmodified-since", "Sat, 21 Nov 2026 11:59:59 GMT")], Outdated),
            (&[("if-unmodified-since", "yesterday")], Any),
            (&[("if-match", "\"a\""), ("if-unmodified-since", "Sat, 21 Nov 2026 11:59:59 GMT")], Exactly(7)),
            (&[("if-match", "\"x\""), ("if-unmodified-since", "Sat, 21 Nov 2026 12:00:00 GMT")], Outdated),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, HeaderValue::from_static(value));
            }
            let current = CurrentVersion { version: 7, tags: vec![etag("a"), etag("b")], modified_at };
            assert_eq!(expected_version(&map, current), expected, "{headers:?}");
            assert_eq!(has_write_condition(&map), !headers.is_empty());
        }
        let unknown = CurrentVersion { version: 7, tags: Vec::new(), modified_at: None };
        let long_ago = HeaderValue::from_static("Sat, 21 Nov 2020 11:59:59 GMT");
        let since = HeaderMap::from_iter([(header::IF_UNMODIFIED_SINCE, long_ago)]);
        assert_eq!(expected_version(&since, unknown), Any);
    }
}
