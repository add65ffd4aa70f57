//! Walking through the parts of a multipart form, whoever wants something of it. Everything about the form is bounded: its
//! boundary, its parts' number and headers, and, by whoever reads a part, that.

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use multer::{Field, Multipart};

use super::flow::{Flow, FlowError};
use crate::problem::ApiError;

/// RFC 2046 allows no longer boundary.
const BOUNDARY: usize = 70;
/// The most parts, wanted and ignored.
const PARTS: usize = 100;
/// The most bytes between two parts' contents, the boundary and the headers, give or take a piece of the flow.
const HEADERS: u64 = 16 << 10;

/// The boundary of a multipart form, or why there is none.
pub(crate) fn boundary(headers: &HeaderMap) -> Result<String, ApiError> {
    let bad = |why: &str| ApiError::malformed("bad_multipart", why);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.ok_or_else(|| bad("send the file as multipart/form-data; the request says no content type"))?;
    let boundary = multer::parse_boundary(kind).map_err(|error| match error {
        multer::Error::NoBoundary => bad("the content type names no boundary; let your HTTP library set it"),
        _ => bad("send the file as multipart/form-data"),
    })?;
    if boundary.is_empty() || boundary.len() > BOUNDARY {
        return Err(bad(&format!("the boundary has {} characters; 1 to {BOUNDARY} are allowed", boundary.len())));
    }
    Ok(boundary)
}

/// A form, as its parts come.
pub(crate) struct Walk {
    form: Multipart<'static>,
    flow: Flow,
    count: usize,
}

/// One part. It must be read to its end, or dropped, before the next one comes.
pub(crate) struct Part {
    field: Field<'static>,
    /// The form's name for it; may be empty.
    pub(crate) name: String,
    /// What the client calls the file in it, where it says that it is one.
    pub(crate) file: Option<String>,
}

impl Walk {
    pub(crate) fn new(flow: &Flow, boundary: String) -> Self {
        Self { form: Multipart::new(flow.clone(), boundary), flow: flow.clone(), count: 0 }
    }

    /// The next part; None at the end of the form.
    pub(crate) async fn next(&mut self) -> Result<Option<Part>, ApiError> {
        self.flow.allow(HEADERS);
        let Some(field) = self.form.next_field().await.map_err(trouble)? else { return Ok(None) };
        if self.count == PARTS {
            return Err(ApiError::malformed("bad_multipart", format!("the form has more than {PARTS} parts")));
        }
        self.count += 1;
        self.flow.allow(u64::MAX);
        let name = field.name().unwrap_or_default().to_owned();
        let file = field.file_name().map(str::to_owned);
        Ok(Some(Part { field, name, file }))
    }
}

impl Part {
    /// The next piece of its content.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, ApiError> {
        self.field.chunk().await.map_err(trouble)
    }

    /// All of its content, if that is not more than `limit` bytes.
    pub(crate) async fn text(&mut self, limit: u64) -> Result<Vec<u8>, ApiError> {
        let mut kept = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            kept.extend_from_slice(&chunk);
            too_much(kept.len() as u64, limit)?;
        }
        Ok(kept)
    }

    /// Reads over its content, of which there may be `limit` bytes.
    pub(crate) async fn skip(&mut self, limit: u64) -> Result<(), ApiError> {
        let mut received = 0;
        while let Some(chunk) = self.chunk().await? {
            received += chunk.len() as u64;
            too_much(received, limit)?;
        }
        Ok(())
    }
}

fn too_much(received: u64, limit: u64) -> Result<(), ApiError> {
    if received > limit {
        return Err(ApiError::TooLarge { what: "a part of the form that is not the file", limit, received });
    }
    Ok(())
}

/// What went wrong with a form, as an answer: the body's own trouble first, then the parser's.
fn trouble(error: multer::Error) -> ApiError {
    match error {
        multer::Error::StreamReadFailed(source) => match source.downcast::<FlowError>() {
            Ok(flow) => (*flow).into(),
            Err(other) => ApiError::malformed("bad_multipart", format!("the form cannot be read: {other}")),
        },
        multer::Error::IncompleteStream | multer::Error::IncompleteFieldData { .. } => {
            ApiError::malformed("bad_multipart", "the form ends in the middle of a part, or its boundary is not there")
        }
        other => ApiError::malformed("bad_multipart", format!("the form cannot be read: {other}")),
    }
}
