//! Middleware around every request below `/documents/api`. It parses the path for the handlers, and renders errors and
//! repeated responses in the format that the client accepts.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use super::error::DocumentError;
use super::request_path::RequestPath;
use super::response_format::ResponseFormat;

/// Parses the path and runs the handler. Then renders an error, or selects the format of a repeated response.
pub(super) async fn render_errors(mut request: Request, next: Next) -> Response {
    let (path, response_format) =
        (RequestPath::parse(request.uri().path()), ResponseFormat::from_accept(request.headers()));
    request.extensions_mut().insert(path.clone());
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<DocumentError>() {
        Some(error) => error.render(response_format, &path),
        None => response_format.select(response),
    }
}
