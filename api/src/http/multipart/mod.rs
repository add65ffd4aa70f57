//! Reads the parts of a multipart form (RFC 7578), written as clients really write them. Everything about the form is
//! limited here: the boundary, the number of parts, and their headers. The code that reads a part limits its content.
//!
//! - `form_buffer` cuts the body at its delimiters, and `part_head` reads the headers of a part.
//! - `part_name` decodes names, and `transfer_encoding` the content. Both use `byte_encodings`.

mod byte_encodings;
mod form_buffer;
mod part_head;
mod part_name;
mod transfer_encoding;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures::StreamExt;

use crate::error::ApiError;
use crate::http::body::BoundedBody;
use crate::http::header_parameters::ParameterizedValue;
use form_buffer::{FormBuffer, FormError, MAX_PART_HEADER_BYTES, Next};
use part_head::PartHead;
use transfer_encoding::{TransferDecoder, TransferError};

/// The longest boundary in bytes, by RFC 2046.
const MAX_BOUNDARY_BYTES: usize = 70;
/// The most parts, including ignored parts.
const MAX_PARTS: usize = 100;

/// Returns the boundary of a multipart form, or why there is none.
pub(crate) fn parse_boundary(headers: &HeaderMap) -> Result<Vec<u8>, ApiError> {
    let bad = |why: &str| ApiError::malformed("bad_multipart", why);
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.ok_or_else(|| bad("send the file as multipart/form-data; the request says no content type"))?;
    let kind = ParameterizedValue::parse(kind.as_bytes())
        .ok_or_else(|| bad("the content type has a quotation mark that is not closed"))?;
    if kind.value != "multipart/form-data" {
        return Err(bad("send the file as multipart/form-data"));
    }
    let boundary = kind.get("boundary");
    let boundary = boundary.ok_or_else(|| bad("the content type names no boundary; let your HTTP library set it"))?;
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY_BYTES {
        return Err(bad(&format!(
            "the boundary has {} characters; 1 to {MAX_BOUNDARY_BYTES} are allowed",
            boundary.len()
        )));
    }
    Ok(boundary.to_vec())
}

/// A multipart form, read part by part.
pub(crate) struct MultipartReader {
    body: BoundedBody,
    buffer: FormBuffer,
    /// True inside a part, and before the first part.
    in_content: bool,
    part_count: usize,
}

/// One part. A part may be dropped before its end. `next_part` skips the rest of it.
pub(crate) struct MultipartPart<'a> {
    form: &'a mut MultipartReader,
    decoder: TransferDecoder,
    /// The content that [`Self::peek`] has read and that [`Self::chunk`] has not returned.
    peeked: Vec<u8>,
    /// The name of the form field. It may be empty.
    pub(crate) name: String,
    /// The file name, if the client declares the part as a file.
    pub(crate) filename: Option<String>,
}

impl MultipartReader {
    pub(crate) fn new(body: &BoundedBody, boundary: &[u8]) -> Self {
        Self { body: body.clone(), buffer: FormBuffer::new(boundary), in_content: true, part_count: 0 }
    }

    /// Reads the head of the next part. None at the end of the form.
    pub(crate) async fn next_part(&mut self) -> Result<Option<MultipartPart<'_>>, ApiError> {
        let mut preamble_bytes = 0;
        while let Some(skipped) = self.content_chunk().await? {
            preamble_bytes += skipped.len();
            if self.part_count == 0 && preamble_bytes > MAX_PART_HEADER_BYTES {
                let why = format!("the form has no boundary in its first {MAX_PART_HEADER_BYTES} bytes");
                return Err(ApiError::malformed("bad_multipart", why));
            }
        }
        let head = loop {
            match self.buffer.head()? {
                Next::Some(head) => break head,
                Next::End => {
                    // What follows the form is no part of it (RFC 2046, 5.1.1). It is read so that the connection can
                    // carry another request.
                    while let Some(epilogue) = self.body.next().await {
                        epilogue?;
                    }
                    return Ok(None);
                }
                Next::Incomplete => self.receive().await?,
            }
        };
        if self.part_count == MAX_PARTS {
            return Err(ApiError::malformed("bad_multipart", format!("the form has more than {MAX_PARTS} parts")));
        }
        self.part_count += 1;
        self.in_content = true;
        let PartHead { name, filename, decoder } = PartHead::parse(&head)?;
        Ok(Some(MultipartPart { form: self, decoder, peeked: Vec::new(), name, filename }))
    }

    /// Reads the next chunk of a part's content, not decoded. None at the end of the content.
    async fn content_chunk(&mut self) -> Result<Option<Bytes>, ApiError> {
        while self.in_content {
            match self.buffer.content() {
                Next::Some(content) => return Ok(Some(content)),
                Next::End => self.in_content = false,
                Next::Incomplete => self.receive().await?,
            }
        }
        Ok(None)
    }

    /// Reads the next chunk of the body into the buffer.
    async fn receive(&mut self) -> Result<(), ApiError> {
        let Some(chunk) = self.body.next().await else {
            let why = "the form ends in the middle of a part, or its boundary is not there";
            return Err(ApiError::malformed("bad_multipart", why));
        };
        self.buffer.push(&chunk?);
        Ok(())
    }
}

impl MultipartPart<'_> {
    /// Reads the next chunk of the part's content.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, ApiError> {
        if !self.peeked.is_empty() {
            return Ok(Some(std::mem::take(&mut self.peeked).into()));
        }
        loop {
            let Some(chunk) = self.form.content_chunk().await? else {
                let rest = self.decoder.finish()?;
                return Ok((!rest.is_empty()).then(|| rest.into()));
            };
            match self.decoder.decode(&chunk)? {
                None => return Ok(Some(chunk)),
                Some(decoded) if !decoded.is_empty() => return Ok(Some(decoded.into())),
                Some(_) => {}
            }
        }
    }

    /// Returns the first bytes of the content: at least `min_length`, or the whole content if it is shorter. The next
    /// call of [`Self::chunk`] returns these bytes again.
    pub(crate) async fn peek(&mut self, min_length: usize) -> Result<&[u8], ApiError> {
        let mut peeked = Vec::new();
        while peeked.len() < min_length
            && let Some(chunk) = self.chunk().await?
        {
            peeked.extend_from_slice(&chunk);
        }
        self.peeked = peeked;
        Ok(&self.peeked)
    }

    /// Reads the whole content, which must not be longer than `limit` bytes.
    pub(crate) async fn read_to_end(&mut self, limit: u64) -> Result<Vec<u8>, ApiError> {
        let mut content = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            content.extend_from_slice(&chunk);
            check_part_size(content.len() as u64, limit)?;
        }
        Ok(content)
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

impl From<FormError> for ApiError {
    fn from(error: FormError) -> Self {
        Self::malformed("bad_multipart", error.to_string())
    }
}

impl From<TransferError> for ApiError {
    fn from(error: TransferError) -> Self {
        Self::malformed("bad_multipart", error.to_string())
    }
}
