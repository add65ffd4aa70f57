//! How much a picture may ask for. Every number is checked against headers, before anything is decoded.

/// What [`super::probe`] and [`super::render`] refuse to go beyond.
///
/// The defaults take every photograph a phone makes, 12, 48 and 50 megapixels alike: a JPEG is decoded at the scale its
/// outputs need and so costs a few megabytes whatever its size. Kinds that have to be decoded whole are held by
/// `max_memory` long before they reach `max_pixels`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Width × height, in pixels.
    pub max_pixels: u64,
    /// The longer side, in pixels.
    pub max_side: u32,
    /// Frames of an animation. Only the first is shown; counting them all is work, too.
    pub max_frames: u32,
    /// Estimated peak of the working memory ([`super::Probe::memory_estimate`]), in bytes.
    pub max_memory: u64,
    /// An ICC profile, inflated, in bytes. Profiles of printing presses reach 3 MiB.
    pub max_icc: u32,
    /// Scans of a progressive JPEG. Encoders write about ten; every scan walks the whole picture once more.
    pub max_scans: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pixels: 100_000_000,
            max_side: 30_000,
            max_frames: 2_000,
            max_memory: 384 << 20,
            max_icc: 4 << 20,
            max_scans: 100,
        }
    }
}
