//! WebP, lossy and lossless, the first frame of an animation.
//!
//! The decoder reads all of its input before it begins, so it cannot be cancelled while it runs. Only the memory limit
//! bounds its duration, see [`crate::CancelFlag`].

use domain::Media;

use super::decoder_errors;
use crate::cancel::CancelFlag;
use crate::cancel::CancellableReader;
use crate::limits::Limits;
use crate::probed_picture::Probe;
use crate::raster::{Colour, Raster, allocate};
use crate::rejection::Rejection;

pub(crate) fn decode(file: &[u8], probe: &Probe, limits: &Limits, stop: &CancelFlag) -> Result<Raster, Rejection> {
    let rejected = |error: image_webp::DecodingError| decoder_errors::webp(&error, limits);
    let mut decoder = image_webp::WebPDecoder::new(CancellableReader::new(file, stop)).map_err(rejected)?;
    decoder.set_memory_limit(usize::try_from(limits.max_memory).unwrap_or(usize::MAX));
    probe.check_size(decoder.dimensions())?;
    if decoder.is_animated() {
        // The background colour of an animation is a hint for a web page; a picture has none.
        decoder.set_background_color([0; 4]).map_err(rejected)?;
    }
    let size = decoder
        .output_buffer_size()
        .ok_or_else(|| Rejection::broken(Media::WebP, "its width times its height is too large"))?;
    let mut samples = allocate(size)?;
    decoder.read_image(&mut samples).map_err(rejected)?;
    let colour = if decoder.has_alpha() { Colour::Rgba } else { Colour::Rgb };
    Ok(Raster::packed(probe.stored_size.0, probe.stored_size.1, colour, samples))
}
