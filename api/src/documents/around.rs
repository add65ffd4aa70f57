//! What stands around every call below `/documents/api`: what its address says goes in, and a refusal that comes out is
//! written as the client likes.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use super::address::Address;
use super::answer::Format;
use super::refusal::Refusal;

pub(super) async fn around(mut request: Request, next: Next) -> Response {
    let (address, format) = (Address::of(request.uri().path()), Format::of(request.headers()));
    request.extensions_mut().insert(address.clone());
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Refusal>() {
        Some(refusal) => refusal.told(format, &address),
        None => response,
    }
}
