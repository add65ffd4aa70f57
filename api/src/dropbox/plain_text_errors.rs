//! Errors below `/api/dropbox/pictures`: the bare message, or the problem document if the client asks for it.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ErrorMessage;
use crate::http::accept::Accept;

/// Renders an error as its bare message, because clients of the dropbox contract show the body to people
/// (`docs/contracts/dropbox.md`, 1.4). A client that names `application/problem+json` in `Accept`, and does not prefer
/// text, gets the problem document.
pub(crate) async fn as_plain_text(request: Request, next: Next) -> Response {
    let accept = Accept::from_headers(request.headers());
    let problem = accept.named_quality("application/problem+json").unwrap_or(0);
    let wants_problem = problem > 0 && problem >= accept.quality("text/plain");
    let mut response = next.run(request).await;
    if let Some(ErrorMessage(message)) = response.extensions().get::<ErrorMessage>().cloned() {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
        if wants_problem {
            return response;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(message);
    }
    response
}
