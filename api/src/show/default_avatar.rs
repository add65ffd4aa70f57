//! The picture of those who have none: a plain figure, drawn once at the sizes that pages use, and shipped.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{has, picture_headers};
use crate::who::hex;

/// Sides and files, smallest first. The api draws nothing, so a size between two is answered with the larger.
const DRAWN: [(u32, &[u8]); 7] = [
    (25, include_bytes!("default_avatar/25.png")),
    (32, include_bytes!("default_avatar/32.png")),
    (50, include_bytes!("default_avatar/50.png")),
    (75, include_bytes!("default_avatar/75.png")),
    (128, include_bytes!("default_avatar/128.png")),
    (256, include_bytes!("default_avatar/256.png")),
    (512, include_bytes!("default_avatar/512.png")),
];

/// The smallest drawing that is as large as `size`.
pub(super) fn default_avatar(size: u32, headers: &HeaderMap, cache: &'static str) -> Response {
    let drawn = DRAWN.iter().find(|(side, _)| *side >= size).unwrap_or(&DRAWN[DRAWN.len() - 1]).1;
    let digest = Sha256::digest(drawn);
    let tag = format!("\"{}\"", hex(&digest));
    let mut response = if has(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Body::from(Bytes::from_static(drawn)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
        response
    };
    picture_headers(response.headers_mut(), &tag, cache);
    response
}
