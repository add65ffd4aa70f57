//! Parses the headers of a file, without trusting them, and rejects the file if they alone rule it out.
//!
//! Reads headers only: no pixel is decoded, nothing is inflated, and no allocation grows with a number in the file.
//! Called at the start of every `render`, and by callers that need an estimate of a picture's cost.

mod bmp;
mod gif;
mod jpeg;
mod png;
mod webp;

use std::ops::Range;

use domain::Media;

pub(super) use self::gif::colour_table_bytes;
use super::geometry::{self, MIN_OVERSAMPLING, OutputTarget};
use super::jpeg::header::Header;
use super::orientation::Orientation;
use super::{LimitKind, Limits, Rejection, RenderPlan};

/// A picture as described by its headers.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The media type.
    pub media: Media,
    /// Width in pixels, after orientation.
    pub width: u32,
    /// Height in pixels, after orientation.
    pub height: u32,
    /// Frames; one unless it is animated.
    pub frames: u32,
    /// Bits per sample in the file.
    pub depth: u8,
    /// Whether some pixels may be transparent.
    pub alpha: bool,
    /// How the stored picture has to be turned.
    pub orientation: Orientation,
    /// Width and height as stored.
    pub(super) stored_size: (u32, u32),
    /// The ranges of the file that hold the parts of the colour profile.
    pub(super) icc: Vec<Range<usize>>,
    pub(super) detail: FormatDetail,
    /// Length of the file.
    length: u64,
}

/// What only one format has.
#[derive(Clone, Debug)]
pub(super) enum FormatDetail {
    Jpeg(Box<Header>),
    /// Bytes per pixel of the decoded rows.
    Png {
        channels: u8,
    },
    Gif {
        /// The position of the first frame's descriptor.
        first: usize,
        /// The index of transparent pixels in that frame.
        transparent: Option<u8>,
    },
    Bmp,
    WebP {
        lossy: bool,
    },
}

impl Probe {
    fn new(media: Media, stored: (u32, u32), detail: FormatDetail) -> Self {
        Self {
            media,
            width: stored.0,
            height: stored.1,
            frames: 1,
            depth: 8,
            alpha: false,
            orientation: Orientation::Upright,
            stored_size: stored,
            icc: Vec::new(),
            detail,
            length: 0,
        }
    }

    /// An upper bound of the bytes that rendering `plan` will hold at once, without the file itself.
    pub fn memory_estimate(&self, plan: &RenderPlan) -> u64 {
        let pixels = u64::from(self.stored_size.0) * u64::from(self.stored_size.1);
        let targets = geometry::output_targets(plan, self.stored_size, self.orientation);
        let (decoded, working) = match &self.detail {
            FormatDetail::Jpeg(header) => jpeg::memory_estimate(header, decode_scale(&targets), self.length),
            // The inflated rows, and a copy with premultiplied alpha.
            FormatDetail::Png { channels } => (pixels * u64::from(*channels), 256 << 10),
            // The canvas, and the indices of the frame that is painted on it.
            FormatDetail::Gif { .. } => (pixels * 4, pixels),
            FormatDetail::Bmp => (pixels * 4, 64 << 10),
            // The planes with their borders, or the transforms of the lossless format.
            FormatDetail::WebP { lossy: true } => (pixels * 4, pixels * 2),
            FormatDetail::WebP { lossy: false } => (pixels * 4, pixels * 4),
        };
        let multiplied = if self.alpha { decoded } else { 0 };
        // Each output exists as resized, turned and converted, and as tokens or rows for its encoder.
        let largest = targets.iter().map(OutputTarget::pixels).max().unwrap_or(0);
        let kept = targets.iter().fold(0u64, |sum, target| sum.saturating_add(target.pixels().saturating_mul(4)));
        // Between the two passes of the filter, a plane is as wide as the output and as high as the source.
        let passes = targets.iter().map(|t| u64::from(t.width) * u64::from(self.stored_size.1)).max().unwrap_or(0) * 4;
        let outputs = kept.saturating_add(largest.saturating_mul(16));
        outputs.saturating_add(decoded + working.max(multiplied + passes) + (2 << 20))
    }

    /// Joins the parts of the profile, if there is one. For PNG the result is still deflated.
    pub(super) fn icc_profile(&self, file: &[u8]) -> Option<Vec<u8>> {
        let parts: Vec<&[u8]> = self.icc.iter().filter_map(|part| file.get(part.clone())).collect();
        (!parts.is_empty()).then(|| parts.concat())
    }
}

/// The smallest n for which a picture decoded at n/8 is still large enough for every target.
pub(super) fn decode_scale(targets: &[OutputTarget]) -> u8 {
    let reduction = targets.iter().map(OutputTarget::reduction).fold(f64::INFINITY, f64::min);
    // Seven eighths would cost as much as eight.
    (1..=6).find(|n| reduction * f64::from(*n) / 8.0 >= MIN_OVERSAMPLING).unwrap_or(8)
}

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
