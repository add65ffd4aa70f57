//! BMP, with every depth and both run-length codes.

use domain::Media;
use image::{ColorType, ImageDecoder};

use super::decoder_errors;
use crate::cancel::CancelFlag;
use crate::cancel::CancellableReader;
use crate::limits::Limits;
use crate::probed_picture::Probe;
use crate::raster::{Colour, Raster, allocate};
use crate::rejection::Rejection;

pub(crate) fn decode(file: &[u8], probe: &Probe, limits: &Limits, stop: &CancelFlag) -> Result<Raster, Rejection> {
    let rejected = |error: image::ImageError| decoder_errors::bmp(&error, limits);
    let mut decoder = image::codecs::bmp::BmpDecoder::new(CancellableReader::new(file, stop)).map_err(rejected)?;
    let mut decoder_limits = image::Limits::default();
    decoder_limits.max_alloc = Some(limits.max_memory);
    decoder.set_limits(decoder_limits).map_err(rejected)?;
    probe.check_size(decoder.dimensions())?;
    let colour = match decoder.color_type() {
        ColorType::L8 => Colour::Gray,
        ColorType::Rgb8 => Colour::Rgb,
        ColorType::Rgba8 => Colour::Rgba,
        _ => return Err(Rejection::broken(Media::Bmp, "its pixels are stored in a way that is not supported")),
    };
    let size = u64::from(probe.stored_size.0) * u64::from(probe.stored_size.1) * colour.channels() as u64;
    if decoder.total_bytes() != size {
        return Err(Rejection::broken(Media::Bmp, "its headers contradict each other"));
    }
    let mut samples = allocate(usize::try_from(size).unwrap_or(usize::MAX))?;
    decoder.read_image(&mut samples).map_err(rejected)?;
    Ok(Raster::packed(probe.stored_size.0, probe.stored_size.1, colour, samples))
}
