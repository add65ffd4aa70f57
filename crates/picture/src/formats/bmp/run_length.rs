//! Decodes the run-length codes of BMP: of indices of 4 and 8 bits, and of the 24-bit pixels of
//! OS/2.
//!
//! Rule: [MS-WMF] 3.1.6. As in other decoders, a run ends at the edge of the picture. Pixels that
//! no run covers have the first colour of the table; with 24 bits they are black.

use super::header::BmpHeader;
use super::pixels::Palette;
use super::rejections::truncated;
use crate::cancel::CancelFlag;
use crate::raster::{Colour, Raster, allocate};
use crate::rejection::Rejection;

/// The picture, and where the next run begins. Rows count in the order of the file.
struct Canvas<'a> {
    samples: Vec<u8>,
    header: &'a BmpHeader,
    x: usize,
    y: usize,
}

impl Canvas<'_> {
    /// Writes one pixel, unless it is beyond the edge.
    fn put(&mut self, colour: [u8; 3]) {
        let (width, height) = (self.header.size.0 as usize, self.header.size.1 as usize);
        if self.x < width && self.y < height {
            let row = if self.header.top_down { self.y } else { height - 1 - self.y };
            self.samples[(row * width + self.x) * 3..][..3].copy_from_slice(&colour);
            self.x += 1;
        }
    }
}

/// Decodes the runs in `stored`.
pub(super) fn read_runs(
    stored: &[u8],
    header: &BmpHeader,
    palette: &Palette,
    stop: &CancelFlag,
) -> Result<Raster, Rejection> {
    let (width, height) = (header.size.0 as usize, header.size.1 as usize);
    let background = if header.bits == 24 { [0; 3] } else { palette[0] };
    let mut samples = allocate(width * height * 3)?;
    samples.as_chunks_mut::<3>().0.fill(background);
    let mut canvas = Canvas { samples, header, x: 0, y: 0 };
    // The bytes of a pixel in a run. In a run of 4-bit indices, the one byte holds two indices.
    let pixel_bytes = if header.bits == 24 { 3 } else { 1 };
    let colour = |bytes: &[u8], i: usize| match *bytes {
        [b, g, r] => [r, g, b],
        [two] if header.bits == 4 => palette[usize::from(if i.is_multiple_of(2) { two >> 4 } else { two & 15 })],
        [index] => palette[usize::from(index)],
        _ => [0; 3],
    };
    let mut rest = stored;
    let mut steps = 0u32;
    while canvas.y < height {
        steps = steps.wrapping_add(1);
        if steps.is_multiple_of(4096) {
            stop.check()?;
        }
        let Some((&[count, code], behind)) = rest.split_first_chunk() else {
            // The end mark may be missing. Pixels may not be missing.
            return if canvas.y + 1 == height && canvas.x == width { Ok(finish(canvas)) } else { Err(truncated()) };
        };
        match (count, code) {
            (0, 0) => {
                (canvas.x, canvas.y) = (0, canvas.y + 1);
                rest = behind;
            }
            (0, 1) => return Ok(finish(canvas)),
            (0, 2) => {
                let (&[right, up], behind) = behind.split_first_chunk().ok_or_else(truncated)?;
                canvas.x = (canvas.x + usize::from(right)).min(width);
                canvas.y += usize::from(up);
                rest = behind;
            }
            (0, count) => {
                let count = usize::from(count);
                let length = (count * usize::from(header.bits)).div_ceil(8);
                let literal = behind.get(..length).ok_or_else(truncated)?;
                for i in 0..count {
                    let at = if header.bits == 4 { i / 2 } else { i * pixel_bytes };
                    canvas.put(colour(&literal[at..at + pixel_bytes], i));
                }
                // Literals are padded to whole words of 16 bits.
                rest = behind.get(length.next_multiple_of(2)..).unwrap_or_default();
            }
            (count, _) => {
                let pixel = rest.get(1..1 + pixel_bytes).ok_or_else(truncated)?;
                for i in 0..usize::from(count) {
                    canvas.put(colour(pixel, i));
                }
                rest = &rest[1 + pixel_bytes..];
            }
        }
    }
    Ok(finish(canvas))
}

fn finish(canvas: Canvas<'_>) -> Raster {
    let (width, height) = canvas.header.size;
    Raster::packed(width, height, Colour::Rgb, canvas.samples)
}
