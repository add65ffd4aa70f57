//! GIF: the first frame, laid on its canvas. The others are not decoded.

use std::num::NonZeroU64;

use upload::Media;

use super::same_size;
use crate::picture::raster::{Colour, Raster, allocate};
use crate::picture::stop::Stoppable;
use crate::picture::{Probe, Rejection, Stop};

pub(super) fn decode(file: &[u8], probe: &Probe, stop: &Stop) -> Result<Raster, Rejection> {
    let broken = |error: ::gif::DecodingError| Rejection::broken(Media::Gif, error.to_string());
    let (width, height) = (probe.stored.0 as usize, probe.stored.1 as usize);
    let mut options = ::gif::DecodeOptions::new();
    options.set_color_output(::gif::ColorOutput::RGBA);
    // A frame no larger than the canvas is what was estimated, and what makes sense.
    let most = NonZeroU64::new((width * height * 4) as u64).unwrap_or(NonZeroU64::MIN);
    options.set_memory_limit(::gif::MemoryLimit::Bytes(most));
    let mut decoder = options.read_info(Stoppable::new(file, stop)).map_err(broken)?;
    same_size(probe, (u32::from(decoder.width()), u32::from(decoder.height())))?;
    let frame =
        decoder.read_next_frame().map_err(broken)?.ok_or_else(|| Rejection::broken(Media::Gif, "it has no picture"))?;
    let mut canvas = allocate(width * height * 4)?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let row_bytes = usize::from(frame.width) * 4;
    let used = usize::from(frame.width).min(width.saturating_sub(left)) * 4;
    if used > 0 {
        let rows = canvas.chunks_exact_mut(width * 4).skip(top);
        for (row, from) in rows.zip(frame.buffer.chunks_exact(row_bytes)) {
            row[left * 4..left * 4 + used].copy_from_slice(&from[..used]);
        }
    }
    Ok(Raster::packed(probe.stored.0, probe.stored.1, Colour::Rgba, canvas))
}
