//! GIF: the first frame, laid on its canvas. The others are not decoded.

use std::num::NonZeroU64;

use ::gif::{ColorOutput, DecodeOptions, DecodingError, Frame, MemoryLimit};
use upload::Media;

use super::same_size;
use crate::picture::raster::{Colour, Raster, allocate};
use crate::picture::stop::Stoppable;
use crate::picture::{Probe, Rejection, Stop};

/// Bytes of XMP and the like in front of the first frame, which the decoder keeps though nobody wants them.
pub(in crate::picture) const METADATA: u64 = 1 << 20;

pub(super) fn decode(file: &[u8], probe: &Probe, stop: &Stop) -> Result<Raster, Rejection> {
    let broken = |error: DecodingError| Rejection::broken(Media::Gif, error.to_string());
    let (width, height) = (probe.stored.0 as usize, probe.stored.1 as usize);
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    // A frame no larger than the canvas is what was estimated, and what makes sense.
    let most = NonZeroU64::MIN.saturating_add((width * height) as u64 + METADATA);
    options.set_memory_limit(MemoryLimit::Bytes(most));
    let mut decoder = options.read_info(Stoppable::new(file, stop)).map_err(broken)?;
    same_size(probe, (u32::from(decoder.width()), u32::from(decoder.height())))?;
    let everywhere = decoder.global_palette().map(<[u8]>::to_vec).unwrap_or_default();
    let none = || Rejection::broken(Media::Gif, "it has no picture");
    let frame = decoder.read_next_frame().map_err(broken)?.ok_or_else(none)?;
    if frame.buffer.len() > width * height {
        return Err(Rejection::broken(Media::Gif, "its first frame is larger than its canvas"));
    }

    let colours = colours(frame.palette.as_ref().unwrap_or(&everywhere), frame.transparent);
    let opaque = |index: &u8| colours[usize::from(*index)][3] == 255;
    let whole = (frame.left, frame.top) == (0, 0) && frame.buffer.len() == width * height;
    // Most tables have a colour in all their places; only for the others it matters which of those are used.
    if whole && (colours.iter().all(|colour| colour[3] == 255) || frame.buffer.iter().all(opaque)) {
        let samples = canvas(frame, &colours.map(|[r, g, b, _]| [r, g, b]), width, height)?;
        return Ok(Raster::packed(probe.stored.0, probe.stored.1, Colour::Rgb, samples));
    }
    Ok(Raster::packed(probe.stored.0, probe.stored.1, Colour::Rgba, canvas(frame, &colours, width, height)?))
}

/// RGBA for every index; places that `palette` lacks are as transparent as the one that is said to be.
fn colours(palette: &[u8], transparent: Option<u8>) -> [[u8; 4]; 256] {
    let mut colours = [[0; 4]; 256];
    for (colour, &[r, g, b]) in colours.iter_mut().zip(palette.as_chunks().0) {
        *colour = [r, g, b, 255];
    }
    if let Some(index) = transparent {
        colours[usize::from(index)][3] = 0;
    }
    colours
}

/// `frame` in its place on a canvas that is empty elsewhere.
fn canvas<const N: usize>(
    frame: &Frame<'_>,
    colours: &[[u8; N]; 256],
    width: usize,
    height: usize,
) -> Result<Vec<u8>, Rejection> {
    let mut samples = allocate(width * height * N)?;
    let rows = samples.as_chunks_mut::<N>().0.chunks_exact_mut(width.max(1)).skip(usize::from(frame.top));
    for (row, indices) in rows.zip(frame.buffer.chunks_exact(usize::from(frame.width).max(1))) {
        let row = row.get_mut(usize::from(frame.left)..).unwrap_or_default();
        for (pixel, index) in row.iter_mut().zip(indices) {
            *pixel = colours[usize::from(*index)];
        }
    }
    Ok(samples)
}
