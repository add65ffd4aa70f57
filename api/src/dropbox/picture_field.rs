//! Finds the picture among the parts of a form, and writes it to staging as it arrives.
//!
//! The picture is the part that has a file name and whose content is a picture. If a part called `Profile` has a file
//! name, its content must be a picture (`docs/contracts/dropbox.md`, 2.2).

use domain::{Media, SNIFF_BYTES};
use storage::Staging;

use super::filename::sanitize_filename;
use crate::auth::realm_names::RealmNames;
use crate::error::ApiError;
use crate::http::multipart::{MultipartPart, MultipartReader};
use crate::ingest::ReceivedFile;

/// The documented name of the part with the picture.
const PICTURE_FIELD: &str = "Profile";
/// The most bytes of a part that is not the picture.
const MAX_OTHER_PART_BYTES: u64 = 64 << 10;

/// The context for finding the picture in a form.
pub(crate) struct PictureFieldReader<'a> {
    pub(crate) staging: &'a Staging,
    /// The most bytes of the picture.
    pub(crate) limit: u64,
    /// Knows the names of the form field that may hold a CSRF token.
    pub(crate) realm: &'a RealmNames,
}

impl PictureFieldReader<'_> {
    /// Reads the picture. `check_csrf` is called before the first byte of the picture is staged, with the CSRF token
    /// from a form field.
    pub(crate) async fn read_picture(
        &self,
        mut form: MultipartReader,
        check_csrf: impl Fn(Option<&str>) -> Result<(), ApiError>,
    ) -> Result<ReceivedFile<()>, ApiError> {
        let (mut found, mut token) = (None, None);
        // The reasons for the error, if the form turns out to have no picture.
        let (mut not_a_picture, mut empty, mut unnamed) = (None, false, None);
        while let Some(mut part) = form.next_part().await? {
            let Some(filename) = part.filename.take() else {
                if self.realm.is_csrf_field(&part.name) {
                    token = String::from_utf8(part.read_to_end(MAX_OTHER_PART_BYTES).await?).ok();
                } else if let Some(refusal) = self.skip_unnamed(part).await? {
                    unnamed.get_or_insert(refusal);
                }
                continue;
            };
            let start = part.peek(SNIFF_BYTES).await?;
            // A browser sends an empty part if no file was chosen.
            if start.is_empty() {
                empty = true;
                continue;
            }
            if let Err(refusal) = require_supported(Media::sniff(start)) {
                if part.name == PICTURE_FIELD {
                    check_csrf(token.as_deref())?;
                    return Err(refusal);
                }
                not_a_picture.get_or_insert(refusal);
                // The part may be as long as a picture.
                part.skip(self.limit).await?;
                continue;
            }
            check_csrf(token.as_deref())?;
            if found.is_some() {
                return Err(ApiError::malformed(
                    "bad_multipart",
                    "the form has two pictures; send each picture in a form of its own",
                ));
            }
            found = Some(self.stage_part(part, &filename).await?);
        }
        if let Some(found) = found {
            return Ok(found);
        }
        if not_a_picture.is_some() || empty {
            check_csrf(token.as_deref())?;
        }
        Err(not_a_picture.or(unnamed).unwrap_or_else(|| match empty {
            true => ApiError::malformed("empty_file", "the file is empty; choose a picture"),
            false => ApiError::malformed("no_file", "the form has no part with a file name; send the picture as one"),
        }))
    }

    /// Skips a part that has no file name. If the part is the picture, returns the error that the
    /// client gets if the form has no other picture.
    async fn skip_unnamed(&self, mut part: MultipartPart<'_>) -> Result<Option<ApiError>, ApiError> {
        let is_picture = Media::sniff(part.peek(SNIFF_BYTES).await?).is_some_and(Media::is_supported_picture);
        let refusal = (is_picture || part.name == PICTURE_FIELD).then(|| {
            let why = format!(
                "the part \"{:.40}\" of the form has no file name; send the picture with filename=\"…\" in its \
                 Content-Disposition",
                part.name
            );
            ApiError::malformed("no_file", why)
        });
        match (part.skip(MAX_OTHER_PART_BYTES).await, refusal) {
            (Err(ApiError::TooLarge { .. }), Some(refusal)) => Err(refusal),
            (skipped, refusal) => skipped.map(|()| refusal),
        }
    }

    /// Writes one part to staging.
    async fn stage_part(&self, mut part: MultipartPart<'_>, name: &str) -> Result<ReceivedFile<()>, ApiError> {
        let mut staged_writer = self.staging.new_writer();
        while let Some(chunk) = part.chunk().await? {
            let received = staged_writer.bytes_received() + chunk.len() as u64;
            if received > self.limit {
                return Err(ApiError::TooLarge { what: "the picture", limit: self.limit, received });
            }
            staged_writer.write(&chunk).await?;
        }
        let filename = sanitize_filename(name);
        Ok(ReceivedFile { staged_writer, filename, text: Vec::new(), parameters: () })
    }
}

/// Returns the media type, if pictures of this type are accepted.
fn require_supported(media: Option<Media>) -> Result<Media, ApiError> {
    match media {
        Some(media) if media.is_supported_picture() => Ok(media),
        Some(media) => {
            let (name, accepted) = (media.name(), Media::list_supported_pictures("and"));
            let why = format!("{name} files are not supported, only {accepted}; {}", media.remedy());
            Err(ApiError::UnsupportedMediaType(why))
        }
        None => {
            let accepted = Media::list_supported_pictures("or");
            Err(ApiError::UnsupportedMediaType(format!("this is not a supported picture; send {accepted}")))
        }
    }
}
