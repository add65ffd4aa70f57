//! Conditional requests, RFC 9110, section 13.

use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::error::ApiError;

/// What a write would change, as clients know it.
pub(crate) struct CurrentVersion {
    /// The ETags of its representations. Clients may have any of them.
    pub(crate) tags: Vec<String>,
    /// When it was last changed, if that is known.
    pub(crate) modified_at: Option<Timestamp>,
}

impl CurrentVersion {
    /// A version whose only representation has this digest.
    pub(crate) fn of_content(sha256: &str, modified_at: Timestamp) -> Self {
        Self { tags: vec![etag(sha256)], modified_at: Some(modified_at) }
    }
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

/// Checks the conditions of a write (RFC 9110, 13.2.2): `If-Match`, or else `If-Unmodified-Since`.
/// A date that is not valid is ignored, as 13.1.4 requires. A date is also ignored if the time of
/// the last change is not known.
pub(crate) fn check_write(headers: &HeaderMap, current: &CurrentVersion) -> Result<(), ApiError> {
    if let Some(fine) = matches_if_match(headers, |theirs| current.tags.iter().any(|tag| tag == theirs)) {
        return if fine { Ok(()) } else { Err(ApiError::PreconditionFailed) };
    }
    let since = headers.get(header::IF_UNMODIFIED_SINCE).and_then(|since| since.to_str().ok());
    let since = since.and_then(|since| rfc2822::DateTimeParser::new().parse_timestamp(since).ok());
    match (since, current.modified_at) {
        // A date in a header has whole seconds.
        (Some(since), Some(modified)) if modified.as_second() > since.as_second() => Err(ApiError::ModifiedSince),
        _ => Ok(()),
    }
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
    fn a_write_is_refused_if_what_it_changes_has_changed() {
        let modified_at = Some("2026-11-21T12:00:00.7Z".parse().unwrap());
        let current = CurrentVersion { tags: vec![etag("a"), etag("b")], modified_at };
        for (headers, fine) in [
            (&[][..], true),
            (&[("if-match", "\"b\"")], true),
            (&[("if-match", "\"x\" , \"a\"")], true),
            (&[("if-match", "*")], true),
            (&[("if-match", "\"x\"")], false),
            (&[("if-match", "W/\"a\"")], false),
            (&[("if-match", "")], false),
            (&[("if-unmodified-since", "Sat, 21 Nov 2026 12:00:00 GMT")], true),
            (&[("if-unmodified-since", "Sat, 21 Nov 2026 11:59:59 GMT")], false),
            (&[("if-unmodified-since", "yesterday")], true),
            (&[("if-match", "\"a\""), ("if-unmodified-since", "Sat, 21 Nov 2026 11:59:59 GMT")], true),
            (&[("if-match", "\"x\""), ("if-unmodified-since", "Sat, 21 Nov 2026 12:00:00 GMT")], false),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(check_write(&map, &current).is_ok(), fine, "{headers:?}");
            assert_eq!(has_write_condition(&map), !headers.is_empty());
        }
        let unknown = CurrentVersion { tags: Vec::new(), modified_at: None };
        let long_ago = HeaderValue::from_static("Sat, 21 Nov 2020 11:59:59 GMT");
        let since = HeaderMap::from_iter([(header::IF_UNMODIFIED_SINCE, long_ago)]);
        assert!(check_write(&since, &unknown).is_ok());
    }
}
