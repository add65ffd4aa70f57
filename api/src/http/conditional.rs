//! Conditional requests, RFC 9110, section 13.

use axum::http::{HeaderMap, header};

use crate::error::ApiError;

/// Checks `If-Match` (RFC 9110, 13.1.1) against this ETag. Otherwise a client could combine a range of these bytes with
/// other bytes. This is checked before everything else that depends on the ETag.
pub(crate) fn check_if_match(headers: &HeaderMap, tag: &str) -> Result<(), ApiError> {
    let mut theirs = headers
        .get_all(header::IF_MATCH)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .peekable();
    // The ETags here are strong, and `If-Match` uses the strong comparison, so a weak tag never matches.
    let fine = theirs.peek().is_none() || theirs.any(|theirs| theirs == tag || theirs == "*");
    if fine { Ok(()) } else { Err(ApiError::PreconditionFailed) }
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
