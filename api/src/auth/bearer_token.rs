//! The bearer token of a request (RFC 6750, 2.1).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

/// Returns the bearer token, if an `Authorization` header has one. Credentials of other schemes are ignored, because a
/// proxy may have added them.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    headers.get_all(AUTHORIZATION).iter().find_map(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    })
}
