//! `http.path_prefix`: the path at which a proxy serves this server, such as `/cloakroom`. The proxy removes it from
//! requests. Every address that the server writes begins with it: `Location`, addresses in bodies, and pages.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use domain::InvalidSetting;

use crate::http::settings::HttpSettings;

/// Checks the setting.
///
/// # Errors
/// A prefix that is neither empty nor a path, and a path with a slash at its end.
pub(crate) fn check(prefix: &str) -> Result<(), InvalidSetting> {
    let plain = |part: &str| {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        !part.is_empty() && part.bytes().all(fine) && !part.bytes().all(|byte| byte == b'.')
    };
    let parts = prefix.strip_prefix('/').map(|rest| rest.split('/').all(plain));
    let allowed = "write a path such as /cloakroom, without a slash at its end, or nothing";
    InvalidSetting::require(prefix.is_empty() || parts == Some(true), "http.path_prefix", prefix, allowed)
}

/// Adds the prefix to `Location`, if it is a path of this server. A signed address of the store stays as it is.
pub(crate) async fn prefix_location(State(http): State<Arc<HttpSettings>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let path = location.filter(|location| location.starts_with('/')).map(|path| format!("{}{path}", http.path_prefix));
    if let Some(location) = path.and_then(|path| HeaderValue::try_from(path).ok()) {
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
        ] {
            assert_eq!(check(prefix).is_ok(), fine, "{prefix:?}");
        }
    }
}
