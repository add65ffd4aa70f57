//! Sends stored bytes unchanged, whole or in ranges. The bytes are streamed. They are always an attachment, which a
//! browser saves and does not run.

use std::fmt::Write;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::Media;
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use storage::{Blobs, StoreError};

use super::error::DocumentError;
use crate::http::conditional::{Validators, etag};
use crate::http::ranges::ByteRanges;
use crate::http::request_head::RequestHead;

/// The file or rendition to send.
pub(crate) struct StoredContent {
    /// The key of the bytes in blob storage.
    pub(crate) key: String,
    /// The length in bytes.
    pub(crate) bytes: u64,
    /// The digest of the bytes, which is their ETag.
    pub(crate) sha256: String,
    /// When the content last changed, if that is known.
    pub(crate) modified_at: Option<Timestamp>,
    /// The type as judged by the content.
    pub(crate) media: Media,
    /// The file name.
    pub(crate) name: String,
}

/// Returns the boundary between the parts of a response with several ranges. It is made from the
/// digest of the bytes, which does not occur in the bytes by chance.
fn byteranges_boundary(object: &StoredContent) -> String {
    format!("part-{}", object.sha256.get(..32).unwrap_or("of-this"))
}

/// Returns the response to a `GET` or `HEAD`.
pub(crate) async fn file_response(
    blobs: &Blobs,
    request: &RequestHead,
    object: StoredContent,
) -> Result<Response, DocumentError> {
    let headers = &request.headers;
    let validators = Validators { tag: etag(&object.sha256), modified_at: object.modified_at };
    let mut response = if validators.is_not_modified(headers)? {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        match requested_ranges(headers, &validators.tag, object.bytes) {
            // RFC 9110 defines `Range` for GET only.
            _ if request.method == Method::HEAD => {
                response_with_length(Body::empty(), object.bytes, object.media.mime())
            }
            ByteRanges::Unsatisfiable => unsatisfiable_response(object.bytes),
            ByteRanges::Whole => {
                let body = blobs.stream(&object.key, None).await?;
                response_with_length(Body::from_stream(body), object.bytes, object.media.mime())
            }
            ByteRanges::Ranges(parts) => partial_response(blobs, &object, parts).await?,
        }
    };
    let headers = response.headers_mut();
    validators.add_to(headers);
    for (name, value) in [
        (header::CONTENT_DISPOSITION, content_disposition(&object.name)),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// Returns the ranges to send. `Range` is ignored if `If-Range` does not match the ETag, because the client then has
/// parts of other bytes.
///
/// An `If-Range` with a date never matches. A date may match only if it is a strong validator (RFC 9110, 13.1.5 and
/// 8.8.2.2). The date of a file is a weak validator: it has whole seconds, and a file may get two versions in one
/// second.
fn requested_ranges(headers: &HeaderMap, tag: &str, length: u64) -> ByteRanges {
    let is_outdated = headers.get(header::IF_RANGE).is_some_and(|theirs| theirs.as_bytes() != tag.as_bytes());
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    match range {
        Some(range) if !is_outdated => ByteRanges::from_header(range, length),
        _ => ByteRanges::Whole,
    }
}

fn response_with_length(body: Body, length: u64, mime: &str) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Ok(mime) = HeaderValue::try_from(mime) {
        headers.insert(header::CONTENT_TYPE, mime);
    }
    response
}

fn unsatisfiable_response(length: u64) -> Response {
    let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    if let Ok(range) = HeaderValue::try_from(format!("bytes */{length}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    response
}

async fn partial_response(
    blobs: &Blobs,
    object: &StoredContent,
    parts: Vec<std::ops::Range<u64>>,
) -> Result<Response, DocumentError> {
    let of = |part: &std::ops::Range<u64>| format!("bytes {}-{}/{}", part.start, part.end - 1, object.bytes);
    let mut response = if let [one] = parts.as_slice() {
        let body = blobs.stream(&object.key, Some(one.clone())).await?;
        let mut response = response_with_length(Body::from_stream(body), one.end - one.start, object.media.mime());
        if let Ok(range) = HeaderValue::try_from(of(one)) {
            response.headers_mut().insert(header::CONTENT_RANGE, range);
        }
        response
    } else {
        let (boundary, mime) = (byteranges_boundary(object), object.media.mime());
        let head = |part| format!("\r\n--{boundary}\r\nContent-Type: {mime}\r\nContent-Range: {}\r\n\r\n", of(part));
        let heads: Vec<String> = parts.iter().map(head).collect();
        let end = format!("\r\n--{boundary}--\r\n");
        let length = parts.iter().map(|part| part.end - part.start).sum::<u64>()
            + (heads.iter().map(String::len).sum::<usize>() + end.len()) as u64;
        // A part is opened only when the part before it has been read to its end, so that one stream is open at a time.
        let (blobs, key) = (blobs.clone(), object.key.clone());
        let pieces = stream::iter(heads.into_iter().zip(parts)).then(move |(head, part)| {
            let (blobs, key) = (blobs.clone(), key.clone());
            async move {
                let head = stream::iter([Ok::<_, StoreError>(Bytes::from(head))]);
                match blobs.stream(&key, Some(part)).await {
                    Ok(bytes) => head.chain(bytes).boxed(),
                    Err(error) => head.chain(stream::iter([Err(error)])).boxed(),
                }
            }
        });
        let body = pieces.flatten().chain(stream::iter([Ok(Bytes::from(end))]));
        response_with_length(Body::from_stream(body), length, &format!("multipart/byteranges; boundary={boundary}"))
    };
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    Ok(response)
}

/// The characters that RFC 8187 permits in an extended value.
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Returns `Content-Disposition` by RFC 6266: an ASCII name for all clients, and the whole name for clients that
/// support it.
fn content_disposition(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_graphic() && !"\"\\%/:*?<>|;".contains(c) || c == ' ' { c } else { '_' };
    let plain: String = name.chars().map(safe).collect();
    let mut text = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        write!(text, "; filename*=UTF-8''{}", utf8_percent_encode(name, ATTRIBUTE)).ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_sent_in_ascii_and_whole() {
        for (name, expected) in [
            ("small.png", "attachment; filename=\"small.png\""),
            ("größe 猫.png", "attachment; filename=\"gr__e _.png\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%E7%8C%AB.png"),
            ("a\"b;c", "attachment; filename=\"a_b_c\"; filename*=UTF-8''a%22b%3Bc"),
            ("a\r\nb", "attachment; filename=\"a__b\"; filename*=UTF-8''a%0D%0Ab"),
        ] {
            assert_eq!(content_disposition(name), expected, "{name:?}");
        }
    }
}
