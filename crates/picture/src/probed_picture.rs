//! What the headers of a picture say, and what they say about its cost.

use std::ops::Range;

use domain::Media;

use crate::formats::jpeg::header::Header;
use crate::geometry::{self, MIN_OVERSAMPLING, OutputTarget};
use crate::orientation::Orientation;
use crate::plan::RenderPlan;
use crate::rejection::Rejection;

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
    pub(crate) stored_size: (u32, u32),
    /// The ranges of the file that hold the parts of the colour profile.
    pub(crate) icc: Vec<Range<usize>>,
    pub(crate) detail: FormatDetail,
    /// Length of the file.
    pub(crate) length: u64,
}

/// What only one format has.
#[derive(Clone, Debug)]
pub(crate) enum FormatDetail {
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
    pub(crate) fn new(media: Media, stored: (u32, u32), detail: FormatDetail) -> Self {
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
            FormatDetail::Jpeg(header) => header.memory_estimate(decode_scale(&targets), self.length),
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

    /// Rejects a file whose decoder finds another size than the headers say.
    pub(crate) fn check_size(&self, size: (u32, u32)) -> Result<(), Rejection> {
        if self.stored_size == size {
            Ok(())
        } else {
            Err(Rejection::broken(self.media, "its headers contradict each other"))
        }
    }

    /// Joins the parts of the profile, if there is one. For PNG the result is still deflated.
    pub(crate) fn icc_profile(&self, file: &[u8]) -> Option<Vec<u8>> {
        let parts: Vec<&[u8]> = self.icc.iter().filter_map(|part| file.get(part.clone())).collect();
        (!parts.is_empty()).then(|| parts.concat())
    }
}

/// The smallest n for which a picture decoded at n/8 is still large enough for every target.
pub(crate) fn decode_scale(targets: &[OutputTarget]) -> u8 {
    let reduction = targets.iter().map(OutputTarget::reduction).fold(f64::INFINITY, f64::min);
    // Seven eighths would cost as much as eight.
    (1..=6).find(|n| reduction * f64::from(*n) / 8.0 >= MIN_OVERSAMPLING).unwrap_or(8)
}
