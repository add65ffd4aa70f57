//! PNG by the fast compressor: a fifth of the work of zlib's default for an eighth more bytes.

use upload::Media;

use crate::picture::Rejection;
use crate::picture::raster::{Colour, Raster};

/// `raster` as a PNG file, 8 bit. It must be one packed plane of gray or RGB, with or without alpha.
pub(in crate::picture) fn png(raster: &Raster) -> Result<Vec<u8>, Rejection> {
    let broken = |error: ::png::EncodingError| Rejection::broken(Media::Png, error.to_string());
    let Some(plane) = raster.plane() else { return Err(Rejection::broken(Media::Png, "it has no pixels")) };
    let mut file = Vec::with_capacity(plane.samples.len() / 2 + 1024);
    let mut encoder = ::png::Encoder::new(&mut file, raster.width, raster.height);
    encoder.set_depth(::png::BitDepth::Eight);
    encoder.set_color(match raster.colour {
        Colour::Gray => ::png::ColorType::Grayscale,
        Colour::GrayAlpha => ::png::ColorType::GrayscaleAlpha,
        Colour::Rgba => ::png::ColorType::Rgba,
        _ => ::png::ColorType::Rgb,
    });
    encoder.set_compression(::png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(broken)?;
    writer.write_image_data(&plane.samples).map_err(broken)?;
    writer.finish().map_err(broken)?;
    Ok(file)
}
