//! Parses the headers of a file, without trusting them, and rejects the file if its headers alone rule it out.
//!
//! Reads headers only: no pixel is decoded, nothing is inflated, and no allocation grows with a
//! number in the file. Called by the function `render`, and by callers that keep a `RenderBuffers`
//! or need an estimate of a picture's cost.

use domain::Media;

use crate::formats::FORMATS;
use crate::limits::Limits;
use crate::probed_picture::Probe;
use crate::rejection::{LimitKind, Rejection};

/// Identifies `bytes` by their headers, or rejects them.
///
/// # Errors
///
/// - [`Rejection::Unsupported`], with the name of the format if it is known, if the format is not accepted.
/// - [`Rejection::Broken`] if the headers are broken.
/// - [`Rejection::LimitExceeded`] if a number in the headers is above its limit.
pub fn probe(bytes: &[u8], limits: &Limits) -> Result<Probe, Rejection> {
    let media = Media::sniff(bytes);
    let Some(format) = FORMATS.iter().find(|format| Some(format.media) == media) else { return Err(refused(media)) };
    let mut probe = (format.probe)(bytes, limits)?;
    probe.opaque_output = format.opaque_output;
    let (width, height) = probe.stored_size;
    if width == 0 || height == 0 {
        return Err(Rejection::broken(probe.media, "its width or height is zero"));
    }
    Rejection::check_limit(LimitKind::Side, u64::from(width.max(height)), u64::from(limits.max_side))?;
    Rejection::check_limit(LimitKind::Pixels, u64::from(width) * u64::from(height), limits.max_pixels)?;
    Rejection::check_limit(LimitKind::Frames, u64::from(probe.frames), u64::from(limits.max_frames))?;
    Rejection::check_limit(LimitKind::Profile, probe.colours.stored_bytes(), u64::from(limits.max_icc))?;
    (probe.width, probe.height) = probe.orientation.oriented_size(probe.stored_size);
    Ok(probe)
}

/// The rejection of a file that begins like no accepted format.
fn refused(media: Option<Media>) -> Rejection {
    match media {
        Some(media) => {
            Rejection::Unsupported { media: Some(media), what: media.name().into(), remedy: media.remedy().into() }
        }
        None => Rejection::Unsupported {
            media: None,
            what: "This kind of file".into(),
            remedy: format!("upload a picture saved as {}", Media::list_supported_pictures("or")).into(),
        },
    }
}
