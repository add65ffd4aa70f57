//! What pages of other origins may do: CORS (<https://fetch.spec.whatwg.org/#http-cors-protocol>), and
//! `document.domain`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use domain::InvalidSetting;
use serde::{Deserialize, Serialize};

/// How long a browser may keep the answer to a preflight, in seconds. Firefox and Chromium permit 2
/// hours or more.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The headers of responses that scripts of other origins may read, beside the headers that CORS always lets them read.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(
    "ETag, Location, Retry-After, Preference-Applied, Content-Range, Content-Disposition, Accept-Ranges, Allow, \
     WWW-Authenticate, X-Request-Id",
);

/// `[realm.cors]`: the origins whose pages may call this server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorsSettings {
    /// The origins, such as `https://portal.example.com`. Empty: none.
    pub origins: Vec<String>,
}

impl CorsSettings {
    /// Checks the settings.
    ///
    /// # Errors
    /// A text that is no origin.
    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        for origin in &self.origins {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")).unwrap_or_default();
            let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
            let allowed = "write a scheme and a host, such as https://portal.example.com, without a path";
            InvalidSetting::require(
                !host.is_empty() && host.bytes().all(fine),
                "realm.cors.origins",
                format!("\"{origin}\""),
                allowed,
            )?;
        }
        Ok(())
    }
}

/// What pages of other origins may do.
pub(crate) struct CrossOrigin {
    origins: Vec<String>,
    /// Whether pages may set `document.domain`, to reach pages of sibling domains.
    document_domain: bool,
}

impl CrossOrigin {
    pub(crate) fn new(cors: &CorsSettings, document_domain: bool) -> Self {
        Self { origins: cors.origins.clone(), document_domain }
    }

    /// Returns the origins that may frame a page that is made to be framed:
    ///
    /// - this server's own origin, because a proxy may serve the portal at the same origin,
    /// - the origins that may call this server, because a call can do more than a frame.
    pub(crate) fn frame_ancestors(&self) -> String {
        std::iter::once("'self'").chain(self.origins.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
    }

    /// Returns the origin of the request, if its pages may call this server.
    fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let allowed = self.origins.iter().any(|allowed| origin.as_bytes().eq_ignore_ascii_case(allowed.as_bytes()));
        allowed.then(|| origin.clone())
    }
}

/// Adds the headers that tell the browser what the page that sent the request may do.
pub(crate) async fn add_cross_origin_headers(
    State(cross_origin): State<Arc<CrossOrigin>>,
    request: Request,
    next: Next,
) -> Response {
    let origin = cross_origin.allowed_origin(request.headers());
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let requested = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if cross_origin.document_domain {
        // Browsers ignore `document.domain` unless all pages of an origin say this (HTML, 7.1.1.2).
        headers.insert(HeaderName::from_static("origin-agent-cluster"), HeaderValue::from_static("?0"));
    }
    if cross_origin.origins.is_empty() {
        return response;
    }
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return response };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    if !is_preflight {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        return response;
    }
    // `Allow` in the answer to OPTIONS lists the methods of the path.
    if let Some(methods) = headers.get(header::ALLOW).cloned() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    // Every header is permitted, because the origin is trusted.
    if let Some(requested) = requested {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, requested);
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for (origin, fine) in [
            ("https://portal.example.com", true),
            ("http://localhost:3000", true),
            ("http://[::1]:3000", true),
            ("*", false),
            ("null", false),
            ("portal.example.com", false),
            ("https://portal.example.com/", false),
            ("https://", false),
        ] {
            assert_eq!(CorsSettings { origins: vec![origin.to_owned()] }.check().is_ok(), fine, "{origin}");
        }
    }
}
