//! Finding the picture among the parts of a form and feeding it into staging as it comes.
//!
//! The picture is the first part with a file name, unless a later one is called `Profile` (`contract/dropbox.md`,
//! "add").

use upload::{Intake, Media, SNIFF_BYTES, Staging};

use super::flow::Flow;
use super::label::label;
use super::walk::{Part, Walk};
use crate::problem::ApiError;

/// The most bytes of a part that is not the picture.
const IGNORED: u64 = 64 << 10;

/// A picture that is on its way into staging, complete but for the last step.
pub(crate) struct Handed {
    /// Its bytes.
    pub(crate) intake: Intake,
    /// What they look like.
    pub(crate) media: Media,
    /// What the client called them.
    pub(crate) label: String,
}

/// What is needed to find a picture in a form.
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
        let mut form = Walk::new(&self.flow, boundary);
        let (mut found, mut profile, mut empty, mut token) = (None, false, false, None);
        while let Some(mut part) = form.next().await? {
            let (name, file) = (part.name.clone(), part.file.clone());
            let wanted = file.is_some() && !profile && (found.is_none() || name == "Profile");
            if !wanted {
                if file.is_none() {
                    let content = part.text(IGNORED).await?;
                    if name.eq_ignore_ascii_case(self.csrf_field) {
                        token = String::from_utf8(content).ok();
                    }
                } else {
                    // A second file may be as long as a picture, and nothing of it is kept.
                    part.skip(if found.is_some() { self.limit } else { IGNORED }).await?;
                }
                continue;
            }
            guard(token.as_deref())?;
            match self.take(part, &file.unwrap_or_default()).await? {
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
    async fn take(&self, mut part: Part, name: &str) -> Result<Option<Handed>, ApiError> {
        let mut intake = self.staging.intake();
        let mut media = None;
        while let Some(chunk) = part.chunk().await? {
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
