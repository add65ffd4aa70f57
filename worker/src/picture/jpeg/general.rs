//! JPEG by the general decoder, whole and as RGB: for the varieties that our own does not take.

use upload::Media;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use super::header::{Header, Model, broken};
use crate::picture::raster::{Colour, Raster, allocate};
use crate::picture::stop::Stoppable;
use crate::picture::{Rejection, Stop};

pub(super) fn decode(file: &[u8], header: &Header, stop: &Stop) -> Result<Raster, Rejection> {
    // This decoder fills up what is missing with gray.
    if memchr::memmem::find(file.get(header.data..).unwrap_or_default(), b"\xFF\xD9").is_none() {
        return Err(broken("it ends too early"));
    }
    let failed = |error: zune_jpeg::errors::DecodeErrors| Rejection::broken(Media::Jpeg, error.to_string());
    let (colour, space) = match header.model {
        Model::Gray => (Colour::Gray, ColorSpace::Luma),
        _ => (Colour::Rgb, ColorSpace::RGB),
    };
    let (width, height) = (header.frame.width, header.frame.height);
    let options = DecoderOptions::default()
        .set_max_width(width.into())
        .set_max_height(height.into())
        .jpeg_set_out_colorspace(space);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(Stoppable::new(file, stop), options);
    decoder.decode_headers().map_err(failed)?;
    let size = decoder.output_buffer_size().unwrap_or(0);
    if size != usize::from(width) * usize::from(height) * colour.channels() {
        return Err(broken("its headers contradict each other"));
    }
    let mut samples = allocate(size)?;
    decoder.decode_into(&mut samples).map_err(failed)?;
    Ok(Raster::packed(width.into(), height.into(), colour, samples))
}
