//! PNG, every depth and colour type, interlaced or not, as 8 bits per sample.

use domain::Media;

use super::decoder_errors;
use crate::cancel::CancelFlag;
use crate::cancel::CancellableReader;
use crate::limits::Limits;
use crate::probed_picture::Probe;
use crate::raster::{Colour, Raster, allocate};
use crate::rejection::Rejection;

pub(crate) fn decode(file: &[u8], probe: &Probe, limits: &Limits, stop: &CancelFlag) -> Result<Raster, Rejection> {
    let rejected = |error: ::png::DecodingError| decoder_errors::png(&error, limits);
    let bytes = usize::try_from(limits.max_memory).unwrap_or(usize::MAX);
    let mut decoder = ::png::Decoder::new_with_limits(CancellableReader::new(file, stop), ::png::Limits { bytes });
    // Text and profiles may be deflated a thousand to one, so they are ignored.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(::png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(rejected)?;
    probe.check_size(reader.info().size())?;
    let invalid = || Rejection::broken(Media::Png, "its header is invalid");
    let mut samples = allocate(reader.output_buffer_size().ok_or_else(invalid)?)?;
    let info = reader.next_frame(&mut samples).map_err(rejected)?;
    let colour = match info.color_type {
        ::png::ColorType::Grayscale => Colour::Gray,
        ::png::ColorType::GrayscaleAlpha => Colour::GrayAlpha,
        ::png::ColorType::Rgb => Colour::Rgb,
        ::png::ColorType::Rgba => Colour::Rgba,
        ::png::ColorType::Indexed => return Err(invalid()),
    };
    probe.check_size((info.width, info.height))?;
    Ok(Raster::packed(info.width, info.height, colour, samples))
}
