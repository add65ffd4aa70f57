//! Sends the response as an HTML page, for forms that upload through an iframe and read the result from its body:
//! `?wrapInHTML=true` and `&document.domain=` (`docs/contracts/dropbox.md`, 2.7).
//!
//! All input from clients is untrusted here. The domain is reflected only if it is the host's own domain or a parent of
//! it, and messages are escaped.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};

use crate::http::html::escape_html;

/// Text of 500 characters, so that the page is large enough for old browsers to show it instead of their own error
/// page.
const FILLER: &str = "Cloakroom answers with this page if a form uploads a picture through an iframe. The body of the page \
is the PictureID, or the reason why the picture was refused. The script beside the form reads the body of the page \
and the status in its attributes, so the page is not meant to be read by people. This description has no further \
meaning. It makes the page longer than 512 bytes, because some old browsers show an error page of their own in place \
of every response that has fewer bytes than this page.";
const _: () = assert!(FILLER.len() == 500, "the filler has 500 characters");

/// Wraps the response in a page if the request asks for it.
pub(crate) async fn wrap_in_html(mut request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let mut wrap = false;
    let mut domain = String::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match key.as_ref() {
            "wrapInHTML" => wrap = value.eq_ignore_ascii_case("true"),
            "document.domain" => domain = value.into_owned(),
            _ => {}
        }
    }
    let domain = Some(domain).filter(|domain| may_reflect(domain, request.headers()));
    if wrap {
        // Without `Accept`, an error is rendered as its message, not as a problem document. The page is made around the
        // message.
        request.headers_mut().remove(header::ACCEPT);
    }
    let response = next.run(request).await;
    if wrap { wrap_response(response, domain.as_deref()).await } else { response }
}

/// Returns whether the page may set `document.domain` to `domain`. It may if `domain` is the host or a parent domain of
/// the host, and has only letters, digits, dots and hyphens.
fn may_reflect(domain: &str, headers: &HeaderMap) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).to_ascii_lowercase();
    let domain = domain.to_ascii_lowercase();
    let is_parent = || host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'));
    !domain.is_empty() && domain.bytes().all(plain) && (host == domain || !domain.starts_with('.') && is_parent())
}

async fn wrap_response(response: Response, domain: Option<&str>) -> Response {
    let (mut head, body) = response.into_parts();
    // The responses of the wrapped operations are small: a number or a sentence.
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let script = domain.map(|domain| format!("document.domain='{domain}'"));
    let html = render_wrapper(head.status, &String::from_utf8_lossy(&body), script.as_deref());
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=UTF-8"));
    head.headers.remove(header::CONTENT_LENGTH);
    let scripts = script.map_or_else(
        || "'none'".to_owned(),
        |script| format!("'sha256-{}'", BASE64.encode(Sha256::digest(script.as_bytes()))),
    );
    if let Ok(policy) = HeaderValue::try_from(format!("default-src 'none'; script-src {scripts}")) {
        head.headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Response::from_parts(head, Body::from(html))
}

/// Renders the page. The `<body>` contains only the payload, escaped.
fn render_wrapper(status: StatusCode, payload: &str, script: Option<&str>) -> String {
    let code = status.as_u16();
    let text = if status.is_success() { "success" } else { status.canonical_reason().unwrap_or("error") };
    let script = script.map(|script| format!("<script>{script}</script>")).unwrap_or_default();
    let payload = escape_html(payload);
    format!(
        "<!DOCTYPE html><html lang=\"en\" status=\"{code}\" statusText=\"{text}\"><head>\
         <meta content=\"text/html; charset=UTF-8\" http-equiv=\"Content-Type\">\
         <meta content=\"IE=edge\" http-equiv=\"X-UA-Compatible\">\
         <meta name=\"description\" content=\"{FILLER}\">{script}</head>\
         <body status=\"{code}\" statusText=\"{text}\">{payload}</body></html>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_and_its_parent_domains_are_reflected() {
        let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("Portal.Example.com:8443"))]);
        for (domain, may) in [
            ("portal.example.com", true),
            ("example.com", true),
            ("Example.COM", true),
            ("com", true),
            ("ample.com", false),
            (".example.com", false),
            ("other.com", false),
            ("portal.example.com.evil.net", false),
            ("evil.portal.example.com", false),
            ("example.com'", false),
            ("<script>", false),
            ("example.com\"", false),
            ("", false),
            ("example.com\n", false),
        ] {
            assert_eq!(may_reflect(domain, &headers), may, "{domain:?}");
        }
    }
}
