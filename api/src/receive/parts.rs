//! Finding the picture among the parts of a form and feeding it into staging as it comes.
//!
//! The picture is the first part with a file name, unless a later one is called `Profile` (`contract/dropbox.md`,
//! "add"). Everything about the form is bounded: its boundary, its parts' number and headers, and what is ignored.

use axum::http::{HeaderMap, header};
use multer::{Field, Multipart};
use upload::{Intake, Media, SNIFF_BYTES, Staging};

use super::flow::{Flow, FlowError};
use super::label::label;
use crate::problem::ApiError;

/// RFC 2046 allows no longer boundary.
const BOUNDARY: usize = 70;
/// The most parts, wanted and ignored.
const PARTS: usize = 100;
/// The most bytes between two parts' contents: the boundary and the headers.
const HEADERS: u64 = 16 << 10;
/// The most bytes of a part that is not the picture.
const IGNORED: usize = 64 << 10;

/// A picture that is on its way into staging, complete but for the last step.
pub(crate) struct Handed {
    /// Its bytes.
    pub(crate) intake: Intake,
    /// What they look like.
    pub(crate) media: Media,
    /// What the client called them.
    pub(crate) label: String,
}

/// The boundary of a multipart form, or why there is none.
pub(crate) fn boundary(headers: &HeaderMap) -> Result<String, ApiError> {
    let bad = |why: &str| ApiError::malformed("bad_multipart", why);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.ok_or_else(|| bad("send the picture as multipart/form-data; the request says no content type"))?;
    let boundary = multer::parse_boundary(kind).map_err(|error| match error {
        multer::Error::NoBoundary => bad("the content type names no boundary; let your HTTP library set it"),
        _ => bad("send the picture as multipart/form-data"),
    })?;
    if boundary.is_empty() || boundary.len() > BOUNDARY {
        return Err(bad(&format!("the boundary has {} characters; 1 to {BOUNDARY} are allowed", boundary.len())));
    }
    Ok(boundary)
}

/// Walks a form's parts.
pub(crate) struct Parts<'a> {
    pub(crate) flow: Flow,
    pub(crate) staging: &'a Staging,
    /// The most bytes of picture.
    pub(crate) limit: u64,
    /// The form field in which a CSRF token may come.
    pub(crate) csrf_field: &'a str,
}

impl Parts<'_> {
    /// Takes in the picture. `guard` is asked before its first byte is, with the CSRF token that came as a field.
    pub(crate) async fn picture(
        &self,
        boundary: String,
        guard: impl Fn(Option<&str>) -> Result<(), ApiError>,
    ) -> Result<Handed, ApiError> {
        let mut form = Multipart::new(self.flow.clone(), boundary);
        let (mut found, mut profile, mut empty, mut token) = (None, false, false, None);
        for count in 0.. {
            self.flow.allow(HEADERS);
            let Some(mut field) = form.next_field().await.map_err(trouble)? else { break };
            if count == PARTS {
                return Err(ApiError::malformed("bad_multipart", format!("the form has more than {PARTS} parts")));
            }
            self.flow.allow(u64::MAX);
            let name = field.name().unwrap_or_default().to_owned();
            let file = field.file_name().map(str::to_owned);
            let wanted = file.is_some() && !profile && (found.is_none() || name == "Profile");
            if !wanted {
                let content = ignored(&mut field, found.is_some() && file.is_some(), self.limit).await?;
                if file.is_none() && name.eq_ignore_ascii_case(self.csrf_field) {
                    token = String::from_utf8(content).ok();
                }
                continue;
            }
            guard(token.as_deref())?;
            match self.take(field, &file.unwrap_or_default()).await? {
                // What a browser sends for a chooser that was left alone.
                None => empty = true,
                Some(handed) => {
                    found = Some(handed);
                    profile = name == "Profile";
                }
            }
        }
        found.ok_or_else(|| match empty {
            true => ApiError::malformed("empty_file", "the file is empty; choose a picture"),
            false => ApiError::malformed("no_file", "the form has no part with a file name; send the picture as one"),
        })
    }

    /// One part into staging; None when it is empty. Refused the moment it is known to be refused.
    async fn take(&self, mut field: Field<'_>, name: &str) -> Result<Option<Handed>, ApiError> {
        let mut intake = self.staging.intake();
        let mut media = None;
        while let Some(chunk) = field.chunk().await.map_err(trouble)? {
            let received = intake.received() + chunk.len() as u64;
            if received > self.limit {
                return Err(ApiError::TooLarge { what: "the picture", limit: self.limit, received });
            }
            intake.write(&chunk).await?;
            if media.is_none() && intake.received() >= SNIFF_BYTES as u64 {
                media = Some(accepted(intake.media())?);
            }
        }
        if intake.received() == 0 {
            return Ok(None);
        }
        let media = match media {
            Some(media) => media,
            None => accepted(intake.media())?,
        };
        Ok(Some(Handed { intake, media, label: label(name) }))
    }
}

/// The kind, if pictures of it are taken.
fn accepted(media: Option<Media>) -> Result<Media, ApiError> {
    const TAKEN: &str = "JPEG, PNG, GIF, BMP and WebP pictures are taken";
    match media {
        Some(media) if media.accepted() => Ok(media),
        Some(media) => {
            let (name, remedy) = (media.name(), media.remedy());
            Err(ApiError::Unsupported(format!("this is a {name} file, and only {TAKEN}; {remedy}")))
        }
        None => Err(ApiError::Unsupported(format!("this is no picture that we know; {TAKEN}"))),
    }
}

/// Reads over a part; a second file may be as long as a picture, and nothing of it is kept.
async fn ignored(field: &mut Field<'_>, file: bool, file_limit: u64) -> Result<Vec<u8>, ApiError> {
    let limit = if file { file_limit } else { IGNORED as u64 };
    let (mut kept, mut received) = (Vec::new(), 0);
    while let Some(chunk) = field.chunk().await.map_err(trouble)? {
        received += chunk.len() as u64;
        if received > limit {
            return Err(ApiError::TooLarge { what: "a part of the form that is not the picture", limit, received });
        }
        if !file {
            kept.extend_from_slice(&chunk);
        }
    }
    Ok(kept)
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
