//! `Content-Encoding` of a request. No encoding is supported, because a small body could become a large one.

use axum::http::{HeaderMap, header};

use crate::error::ApiError;

/// Refuses a body that is encoded, such as with gzip (RFC 9110, 15.5.16). The
/// encoded bytes would be taken for the content.
pub(crate) fn refuse_content_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter().flat_map(|value| {
        value.as_bytes().split(|byte| *byte == b',').map(|name| String::from_utf8_lossy(name.trim_ascii()))
    });
    for encoding in encodings {
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
            return Err(ApiError::UnsupportedMediaType(format!(
                "the body has the Content-Encoding \"{encoding:.40}\", which is not supported; send it without one"
            )));
        }
    }
    Ok(())
}
