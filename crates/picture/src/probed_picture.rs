//! What the headers of a picture say, and what they say about its cost.

use std::sync::Arc;

use domain::Media;

use crate::colour_source::ColourSource;
use crate::decoder::{DecodeMemory, Decoder};
use crate::geometry::{self, MIN_OVERSAMPLING, OutputTarget};
use crate::orientation::Orientation;
use crate::plan::RenderPlan;

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
    pub(crate) colours: ColourSource,
    /// The output format if the picture is opaque and the plan leaves the format open: JPEG or PNG.
    pub(crate) opaque_output: Media,
    pub(crate) decoder: Arc<dyn Decoder>,
}

impl Probe {
    pub(crate) fn new(media: Media, stored: (u32, u32), decoder: Arc<dyn Decoder>) -> Self {
        Self {
            media,
            width: stored.0,
            height: stored.1,
            frames: 1,
            depth: 8,
            alpha: false,
            orientation: Orientation::Upright,
            stored_size: stored,
            colours: ColourSource::Unspecified,
            opaque_output: Media::Png,
            decoder,
        }
    }

    /// An upper bound of the bytes that rendering `plan` will hold at once, without the file itself.
    pub fn memory_estimate(&self, plan: &RenderPlan) -> u64 {
        let targets = geometry::output_targets(plan, self.stored_size, self.orientation.then(plan.rotation));
        let DecodeMemory { decoded, working } = self.decoder.memory_estimate(decode_scale(&targets));
        let multiplied = if self.alpha { decoded } else { 0 };
        // Each output exists as resized, turned, converted and with bars, and as tokens or rows for its encoder.
        let largest = targets.iter().map(OutputTarget::canvas_pixels).max().unwrap_or(0);
        let kept = targets.iter().fold(0u64, |sum, target| sum.saturating_add(target.pixels().saturating_mul(4)));
        // Between the two passes of the filter, a plane is as wide as the output and as high as the source.
        let passes = targets.iter().map(|t| u64::from(t.width) * u64::from(self.stored_size.1)).max().unwrap_or(0) * 4;
        let outputs = kept.saturating_add(largest.saturating_mul(16));
        outputs.saturating_add(decoded + working.max(multiplied + passes) + (2 << 20))
    }
}

/// The smallest n for which a picture decoded at n/8 is still large enough for every target.
pub(crate) fn decode_scale(targets: &[OutputTarget]) -> u8 {
    let reduction = targets.iter().map(OutputTarget::reduction).fold(f64::INFINITY, f64::min);
    // Seven eighths would cost as much as eight.
    (1..=6).find(|n| reduction * f64::from(*n) / 8.0 >= MIN_OVERSAMPLING).unwrap_or(8)
}
