//! Reads the parts of a multipart form. Everything about the form is limited here: the boundary, the number of parts,
//! and their headers. The code that reads a part limits its content.

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use multer::{Field, Multipart};

use crate::error::ApiError;
use crate::http::body::{BodyError, BoundedBody};

/// The longest boundary in characters, by RFC 2046.
const MAX_BOUNDARY_CHARS: usize = 70;
/// The most parts, including ignored parts.
const MAX_PARTS: usize = 100;
/// The most bytes between the contents of two parts, which are the boundary and the headers. The limit is exact to one
/// chunk of the stream.
const MAX_PART_HEADER_BYTES: u64 = 16 << 10;

/// Returns the boundary of a multipart form, or why there is none.
pub(crate) fn parse_boundary(headers: &HeaderMap) -> Result<String, ApiError> {
    let bad = |why: &str| ApiError::malformed("bad_multipart", why);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.ok_or_else(|| bad("send the file as multipart/form-data; the request says no content type"))?;
    let boundary = multer::parse_boundary(kind).map_err(|error| match error {
        multer::Error::NoBoundary => bad("the content type names no boundary; let your HTTP library set it"),
        _ => bad("send the file as multipart/form-data"),
    })?;
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY_CHARS {
        return Err(bad(&format!(
            "the boundary has {} characters; 1 to {MAX_BOUNDARY_CHARS} are allowed",
            boundary.len()
        )));
    }
    Ok(boundary)
}

/// A multipart form, read part by part.
pub(crate) struct MultipartReader {
    multipart: Multipart<'static>,
    bounded_body: BoundedBody,
    part_count: usize,
}

/// One part. It must be read to its end, or dropped, before the next part is read.
pub(crate) struct MultipartPart {
    field: Field<'static>,
    /// The name of the form field. It may be empty.
    pub(crate) name: String,
    /// The file name, if the client declares the part as a file.
    pub(crate) filename: Option<String>,
}

impl MultipartReader {
    pub(crate) fn new(bounded_body: &BoundedBody, boundary: String) -> Self {
        Self {
            multipart: Multipart::new(bounded_body.clone(), boundary),
            bounded_body: bounded_body.clone(),
            part_count: 0,
        }
    }

    /// Reads the head of the next part. None at the end of the form.
    pub(crate) async fn next_part(&mut self) -> Result<Option<MultipartPart>, ApiError> {
        self.bounded_body.set_allowance(MAX_PART_HEADER_BYTES);
        let Some(field) = self.multipart.next_field().await.map_err(to_api_error)? else { return Ok(None) };
        if self.part_count == MAX_PARTS {
            return Err(ApiError::malformed("bad_multipart", format!("the form has more than {MAX_PARTS} parts")));
        }
        self.part_count += 1;
        self.bounded_body.set_allowance(u64::MAX);
        let name = field.name().unwrap_or_default().to_owned();
        let file = field.file_name().map(str::to_owned);
        Ok(Some(MultipartPart { field, name, filename: file }))
    }
}

impl MultipartPart {
    /// Reads the next chunk of the part's content.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, ApiError> {
        self.field.chunk().await.map_err(to_api_error)
    }

    /// Reads the whole content, which must not be longer than `limit` bytes.
    pub(crate) async fn read_to_end(&mut self, limit: u64) -> Result<Vec<u8>, ApiError> {
        let mut kept = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            kept.extend_from_slice(&chunk);
            check_part_size(kept.len() as u64, limit)?;
        }
        Ok(kept)
    }

    /// Skips the content, which must not be longer than `limit` bytes.
    pub(crate) async fn skip(&mut self, limit: u64) -> Result<(), ApiError> {
        let mut received = 0;
        while let Some(chunk) = self.chunk().await? {
            received += chunk.len() as u64;
            check_part_size(received, limit)?;
        }
        Ok(())
    }
}

fn check_part_size(received: u64, limit: u64) -> Result<(), ApiError> {
    if received > limit {
        return Err(ApiError::TooLarge { what: "a part of the form that is not the file", limit, received });
    }
    Ok(())
}

/// Converts an error of the parser. An error of the body itself takes precedence.
fn to_api_error(error: multer::Error) -> ApiError {
    match error {
        multer::Error::StreamReadFailed(source) => match source.downcast::<BodyError>() {
            Ok(body_error) => (*body_error).into(),
            Err(other) => ApiError::malformed("bad_multipart", format!("the form cannot be read: {other}")),
        },
        multer::Error::IncompleteStream | multer::Error::IncompleteFieldData { .. } => {
            ApiError::malformed("bad_multipart", "the form ends in the middle of a part, or its boundary is not there")
        }
        other => ApiError::malformed("bad_multipart", format!("the form cannot be read: {other}")),
    }
}
