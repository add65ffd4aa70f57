//! Limits for one picture. All but two are checked against the headers, before anything is decoded.
//! The scans of a progressive JPEG are counted when its decoding begins. A deflated profile is
//! checked while it is inflated.

/// The limits that [`super::probe`] and [`super::render`] enforce.
///
/// The defaults accept every phone photograph of 12, 48 or 50 megapixels, because a JPEG is decoded at the scale that
/// its outputs need. So a JPEG takes a few megabytes whatever its size. Formats that have to be decoded whole reach
/// `max_memory` long before they reach `max_pixels`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Width × height, in pixels.
    pub max_pixels: u64,
    /// The longer side, in pixels.
    pub max_side: u32,
    /// Frames of an animation. Only the first is shown, but counting the frames is work, too.
    pub max_frames: u32,
    /// Estimated peak of the working memory ([`super::Probe::memory_estimate`]), in bytes.
    pub max_memory: u64,
    /// The size of an ICC profile, inflated, in bytes. Profiles of printing presses reach 3 MiB.
    pub max_icc: u32,
    /// Scans of a progressive JPEG. Encoders write about ten; every scan passes over the whole picture once more.
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
