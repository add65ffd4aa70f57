//! What the engine needs from a format: how much memory its decoder takes, and the decoding itself.
//!
//! The probe of a format parses the headers and makes a [`Decoder`] from them. If the
//! decoder later finds something that differs from what the probe found, it rejects the file.

use std::fmt::Debug;

use domain::Media;

use crate::cancel::CancelFlag;
use crate::limits::Limits;
use crate::raster::Raster;
use crate::rejection::Rejection;

/// The decoder of one file, made from the headers of that file.
pub(crate) trait Decoder: Debug + Send + Sync {
    /// The memory for decoding at `n` eighths of the size, or at the full size if the format cannot be scaled.
    fn memory_estimate(&self, n: u8) -> DecodeMemory;

    /// Decodes the first frame of `file`. The result has the file's own colours: gray, RGB, or the planes of a JPEG.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] if the file is damaged or needs more memory than the limits allow.
    fn decode(&self, file: &[u8], context: &mut DecodeContext<'_>) -> Result<Raster, Rejection>;
}

/// An upper bound of the bytes that a decoder holds at once, without the file itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DecodeMemory {
    /// The decoded samples.
    pub(crate) decoded: u64,
    /// Everything that is held beside them while decoding.
    pub(crate) working: u64,
}

/// What the caller of a decoder passes to it.
pub(crate) struct DecodeContext<'a> {
    /// The wanted scale in eighths: 1 to 6, or 8. Formats that cannot be scaled ignore it.
    pub(crate) scale: u8,
    pub(crate) limits: &'a Limits,
    pub(crate) buffers: &'a mut DecodeBuffers,
    pub(crate) stop: &'a CancelFlag,
}

/// Memory that is reused for the next picture. A decoder overwrites what the decoder of an earlier picture left here.
#[derive(Default)]
pub(crate) struct DecodeBuffers {
    pub(crate) bytes: Vec<u8>,
    pub(crate) positions: Vec<usize>,
}

/// Rejects a file whose decoder finds another size than the headers say.
pub(crate) fn check_size(media: Media, probed: (u32, u32), found: (u32, u32)) -> Result<(), Rejection> {
    if probed == found { Ok(()) } else { Err(Rejection::broken(media, "its headers contradict each other")) }
}
