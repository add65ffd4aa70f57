//! The PictureID in a path.

use domain::UploadId;

use crate::error::ApiError;

/// Parses the PictureID in a path. A text that is no PictureID gets 404.
pub(crate) fn parse_picture_id(text: &str) -> Result<UploadId, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound(format!("there is no picture {:.40}", text)))
}
