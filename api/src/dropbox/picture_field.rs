//! Finds the picture among the parts of a form, and writes it to staging as it arrives.
//!
//! The picture is the first part with a file name, unless a later one is called `Profile` (`docs/contracts/dropbox.md`,
//! 2.2).

use domain::{Media, SNIFF_BYTES};
use storage::Staging;

use super::filename::sanitize_filename;
use crate::error::ApiError;
use crate::http::multipart::{MultipartPart, MultipartReader};
use crate::ingest::ReceivedFile;

/// The most bytes of a part that is not the picture.
const MAX_OTHER_PART_BYTES: u64 = 64 << 10;

/// The context for finding the picture in a form.
pub(crate) struct PictureFieldReader<'a> {
    pub(crate) staging: &'a Staging,
    /// The most bytes of the picture.
    pub(crate) limit: u64,
    /// The form field that may hold a CSRF token.
    pub(crate) csrf_field: &'a str,
}

impl PictureFieldReader<'_> {
    /// Reads the picture. `check_csrf` is called before the first byte of the picture is read, with the CSRF token from
    /// a form field.
    pub(crate) async fn read_picture(
        &self,
        mut form: MultipartReader,
        check_csrf: impl Fn(Option<&str>) -> Result<(), ApiError>,
    ) -> Result<ReceivedFile<()>, ApiError> {
        let (mut found, mut profile, mut empty, mut token) = (None, false, false, None);
        while let Some(mut part) = form.next_part().await? {
            let (name, file) = (part.name.clone(), part.filename.clone());
            let wanted = file.is_some() && !profile && (found.is_none() || name == "Profile");
            if !wanted {
                if file.is_none() {
                    let content = part.read_to_end(MAX_OTHER_PART_BYTES).await?;
                    if name.eq_ignore_ascii_case(self.csrf_field) {
                        token = String::from_utf8(content).ok();
                    }
                } else {
                    // A second file may be as long as a picture, and is discarded.
                    part.skip(if found.is_some() { self.limit } else { MAX_OTHER_PART_BYTES }).await?;
                }
                continue;
            }
            check_csrf(token.as_deref())?;
            match self.stage_part(part, &file.unwrap_or_default()).await? {
                // A browser sends an empty part if no file was chosen.
                None => empty = true,
                Some(picture) => {
                    found = Some(picture);
                    profile = name == "Profile";
                }
            }
        }
        found.ok_or_else(|| match empty {
            true => ApiError::malformed("empty_file", "the file is empty; choose a picture"),
            false => ApiError::malformed("no_file", "the form has no part with a file name; send the picture as one"),
        })
    }

    /// Writes one part to staging. None if it is empty. Fails as soon as it is known that the part is refused.
    async fn stage_part(&self, mut part: MultipartPart<'_>, name: &str) -> Result<Option<ReceivedFile<()>>, ApiError> {
        let mut staged_writer = self.staging.new_writer();
        let mut media = None;
        while let Some(chunk) = part.chunk().await? {
            let received = staged_writer.bytes_received() + chunk.len() as u64;
            if received > self.limit {
                return Err(ApiError::TooLarge { what: "the picture", limit: self.limit, received });
            }
            staged_writer.write(&chunk).await?;
            if media.is_none() && staged_writer.bytes_received() >= SNIFF_BYTES as u64 {
                media = Some(require_supported(staged_writer.media())?);
            }
        }
        if staged_writer.bytes_received() == 0 {
            return Ok(None);
        }
        if media.is_none() {
            require_supported(staged_writer.media())?;
        }
        let filename = sanitize_filename(name);
        Ok(Some(ReceivedFile { staged_writer, filename, text: Vec::new(), parameters: () }))
    }
}

/// Returns the type, if pictures of it are accepted.
fn require_supported(media: Option<Media>) -> Result<Media, ApiError> {
    const TAKEN: &str = "JPEG, PNG, GIF, BMP and WebP pictures are accepted";
    match media {
        Some(media) if media.is_supported_picture() => Ok(media),
        Some(media) => {
            let (name, remedy) = (media.name(), media.remedy());
            Err(ApiError::UnsupportedMediaType(format!("this is a {name} file, and only {TAKEN}; {remedy}")))
        }
        None => Err(ApiError::UnsupportedMediaType(format!("this is no picture that we know; {TAKEN}"))),
    }
}
