//! `http.path_prefix`: the path at which a proxy serves this server, such as `/cloakroom`. Every address that the
//! server writes begins with it: `Location`, addresses in bodies, and pages. The proxy may remove it from requests or
//! leave it there. The router and all that is inside it see only the path without it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use domain::InvalidSetting;

use crate::http::settings::HttpSettings;

/// The first segments of the server's own paths. A prefix must not begin with one of them. With the prefix `/api`, for
/// example, the server would not know whether the proxy has removed the prefix from `/api/login`.
pub(crate) const OWN_SEGMENTS: [&str; 11] =
    ["api", "docs", "documents", "livez", "metrics", "openapi.json", "page", "readyz", "service", "uploads", ""];

/// Checks the setting.
///
/// # Errors
/// - The prefix has an invalid form. It must be empty, or a path such as `/cloakroom` that does not end with a slash.
/// - The first segment of the prefix is one of [`OWN_SEGMENTS`].
pub(crate) fn check(prefix: &str) -> Result<(), InvalidSetting> {
    let plain = |part: &str| {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        !part.is_empty() && part.bytes().all(fine) && !part.bytes().all(|byte| byte == b'.')
    };
    let parts = prefix.strip_prefix('/').map(|rest| rest.split('/').all(plain));
    let allowed = "write a path such as /cloakroom, without a slash at its end, or nothing";
    InvalidSetting::require(prefix.is_empty() || parts == Some(true), "http.path_prefix", prefix, allowed)?;
    let first = prefix.split('/').nth(1).filter(|first| OWN_SEGMENTS.contains(first));
    let allowed = format!(
        "write another path, such as /cloakroom, because paths of the server itself begin with /{}",
        first.unwrap_or_default()
    );
    InvalidSetting::require(first.is_none(), "http.path_prefix", prefix, &allowed)
}

/// Removes the prefix from the path of a request, once, if the path begins with the prefix. A path that is only the
/// prefix becomes `/`.
pub(crate) fn remove_prefix<B>(mut request: axum::http::Request<B>, prefix: &str) -> axum::http::Request<B> {
    let (path, query) = (request.uri().path(), request.uri().query());
    let rest = match path.strip_prefix(prefix).filter(|_| !prefix.is_empty()) {
        Some("") => "/",
        // The prefix `/cloakroom` is not removed from `/cloakroom2`, which is another name.
        Some(rest) if rest.starts_with('/') => rest,
        _ => return request,
    };
    let rest = query.map_or_else(|| rest.to_owned(), |query| format!("{rest}?{query}"));
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(rest).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

/// Adds the prefix to the `Location` of a response if its value is a path, such as `/uploads/1001`. A whole URL, such
/// as a signed URL of the store, stays as it is.
pub(crate) async fn prefix_location(State(http): State<Arc<HttpSettings>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let path = location.filter(|location| location.starts_with('/'));
    let prefixed = path.map(|path| format!("{}{path}", http.path_prefix));
    if let Some(location) = prefixed.and_then(|prefixed| HeaderValue::try_from(prefixed).ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_path_without_a_slash_at_its_end() {
        for (prefix, fine) in [
            ("", true),
            ("/cloakroom", true),
            ("/portal/cloak-room_1.2", true),
            ("/", false),
            ("/a/", false),
            ("a", false),
            ("//a", false),
            ("/a/../b", false),
            ("/a b", false),
            ("/a\"", false),
            ("/api", false),
            ("/documents/cloakroom", false),
            ("/portal/api", true),
            ("/apis", true),
        ] {
            assert_eq!(check(prefix).is_ok(), fine, "{prefix:?}");
        }
    }

    #[test]
    fn the_prefix_is_removed_once() {
        for (prefix, uri, expected) in [
            ("/a", "/a/api/login?x=/a/", "/api/login?x=/a/"),
            ("/a", "/a", "/"),
            ("/a", "/a?x=1", "/?x=1"),
            ("/a", "/a/", "/"),
            ("/a", "/a/a/api", "/a/api"),
            ("/a", "/a//api", "//api"),
            ("/a", "/ab/api", "/ab/api"),
            ("/a", "/api", "/api"),
            ("/a", "/A/api", "/A/api"),
            ("/a", "http://example.org/a/api", "http://example.org/api"),
            ("/a", "*", "*"),
            ("", "//api", "//api"),
            ("", "/", "/"),
        ] {
            let request = axum::http::Request::get(uri).body(()).unwrap();
            assert_eq!(remove_prefix(request, prefix).uri(), expected, "{prefix} {uri}");
        }
    }
}
