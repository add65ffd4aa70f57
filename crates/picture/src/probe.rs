//! Parses the headers of a file, without trusting them, and rejects the file if they alone rule it out.
//!
//! Reads headers only: no pixel is decoded, nothing is inflated, and no allocation grows with a number in the file.
//! Called at the start of every `render`, and by callers that need an estimate of a picture's cost.

mod bmp;
mod gif;
mod jpeg;
mod png;
mod webp;

use domain::Media;

pub(crate) use self::gif::colour_table_bytes;
use crate::limits::Limits;
use crate::probed_picture::Probe;
use crate::rejection::{LimitKind, Rejection};

/// Identifies `bytes` by their headers, or rejects them.
///
/// # Errors
///
/// [`Rejection::Unsupported`] for formats that are not accepted, by name; [`Rejection::Broken`] for headers that
/// contradict themselves; [`Rejection::LimitExceeded`] for numbers above `limits`.
pub fn probe(bytes: &[u8], limits: &Limits) -> Result<Probe, Rejection> {
    let mut probe = match Media::sniff(bytes) {
        Some(Media::Jpeg) => jpeg::probe(bytes),
        Some(Media::Png) => png::probe(bytes),
        Some(Media::Gif) => gif::probe(bytes, limits),
        Some(Media::Bmp) => bmp::probe(bytes),
        Some(Media::WebP) => webp::probe(bytes),
        Some(media) => {
            return Err(Rejection::Unsupported {
                media: Some(media),
                what: media.name().into(),
                remedy: media.remedy(),
            });
        }
        None => {
            return Err(Rejection::Unsupported {
                media: None,
                what: "This kind of file".into(),
                remedy: "upload a picture saved as JPEG, PNG, GIF, BMP or WebP",
            });
        }
    }?;
    let (width, height) = probe.stored_size;
    if width == 0 || height == 0 {
        return Err(Rejection::broken(probe.media, "its width or height is zero"));
    }
    Rejection::check_limit(LimitKind::Side, u64::from(width.max(height)), u64::from(limits.max_side))?;
    Rejection::check_limit(LimitKind::Pixels, u64::from(width) * u64::from(height), limits.max_pixels)?;
    Rejection::check_limit(LimitKind::Frames, u64::from(probe.frames), u64::from(limits.max_frames))?;
    let profile = probe.icc.iter().map(|part| part.len() as u64).sum();
    Rejection::check_limit(LimitKind::Profile, profile, u64::from(limits.max_icc))?;
    (probe.width, probe.height) = probe.orientation.oriented_size(probe.stored_size);
    probe.length = bytes.len() as u64;
    Ok(probe)
}
