//! Pages: escaping, templates and the response.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The content security policy of pages, without the origins that may frame them. It permits only content of this
/// site, and no inline script or style. `blob:` permits the pictures that a script has in memory.
const PAGE_CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      frame-src 'self'; form-action 'self'; base-uri 'none'";

/// Escapes `text` for use between tags and in attribute values.
pub(crate) fn escape_html(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '&' => html.push_str("&amp;"),
            '"' => html.push_str("&#34;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

/// Replaces each `{{name}}` in a template by its value. The values are not escaped, so they must be HTML.
pub(crate) fn render_template(template: &str, values: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(template.len() + 1024);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(before);
        page.push_str(values.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value));
        rest = after;
    }
    page.push_str(rest);
    page
}

/// Returns the response with a page of this site. No other page may frame it.
pub(crate) fn html_response(status: StatusCode, page: String) -> Response {
    let mut response = framed_html_response(page, "'none'");
    *response.status_mut() = status;
    // With "no-referrer", which other responses have, a browser sends "null" as the origin of this page's own forms.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Returns the response with a page of this site that other pages may frame. `frame_ancestors` are their origins, in
/// the form of a content security policy (CSP 3, 6.4.2).
pub(crate) fn framed_html_response(page: String, frame_ancestors: &str) -> Response {
    let mut response = page.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    // If the policy cannot be a header, the router sets its own policy, which permits nothing.
    let policy = HeaderValue::try_from(format!("{PAGE_CSP}; frame-ancestors {frame_ancestors}"));
    headers.extend(policy.ok().map(|policy| (header::CONTENT_SECURITY_POLICY, policy)));
    response
}
