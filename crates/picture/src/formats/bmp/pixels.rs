//! Converts the rows of an uncompressed BMP to samples.

use super::header::{BmpHeader, Coding};
use super::rejections::truncated;
use crate::cancel::CancelFlag;
use crate::raster::{Colour, Raster, allocate};
use crate::rejection::Rejection;

/// The colour table: red, green and blue for each index.
pub(super) type Palette = [[u8; 3]; 256];

/// Reads the colour table. Colours that it lacks are black, as in other decoders.
pub(super) fn palette(file: &[u8], header: &BmpHeader) -> Result<Palette, Rejection> {
    let mut colours = [[0; 3]; 256];
    let stored = file.get(header.palette.clone()).ok_or_else(truncated)?;
    for (colour, entry) in colours.iter_mut().zip(stored.chunks_exact(header.palette_entry)) {
        *colour = [entry[2], entry[1], entry[0]];
    }
    Ok(colours)
}

/// Returns the samples of a picture whose rows are in `stored`. The last row may lack its padding.
pub(super) fn read_rows(
    stored: &[u8],
    header: &BmpHeader,
    palette: &Palette,
    stop: &CancelFlag,
) -> Result<Raster, Rejection> {
    let (width, height) = (header.size.0 as usize, header.size.1 as usize);
    let stride = usize::try_from(header.row_bytes()).unwrap_or(usize::MAX);
    let needed = (width * usize::from(header.bits)).div_ceil(8);
    if stored.len() < stride.saturating_mul(height - 1).saturating_add(needed) {
        return Err(truncated());
    }
    let colour = if header.has_alpha() { Colour::Rgba } else { Colour::Rgb };
    let channels = colour.channels();
    let mut samples = allocate(width * height * channels)?;
    for (y, row) in stored.chunks(stride).take(height).enumerate() {
        if y % 64 == 0 {
            stop.check()?;
        }
        let at = if header.top_down { y } else { height - 1 - y };
        let out = &mut samples[at * width * channels..][..width * channels];
        let row = &row[..needed];
        match (header.coding, header.bits) {
            (Coding::Masks(masks), 16) => {
                masked_row(row.as_chunks::<2>().0, masks, out, |two| u16::from_le_bytes(two).into())
            }
            (Coding::Masks(masks), _) => masked_row(row.as_chunks::<4>().0, masks, out, u32::from_le_bytes),
            (_, 24) => {
                for (out, &[b, g, r]) in out.as_chunks_mut::<3>().0.iter_mut().zip(row.as_chunks::<3>().0) {
                    *out = [r, g, b];
                }
            }
            (_, bits) => indexed_row(row, bits, palette, out.as_chunks_mut::<3>().0),
        }
    }
    Ok(Raster::packed(header.size.0, header.size.1, colour, samples))
}

/// Converts a row of indices of `bits` bits. The first index of a byte is in its highest bits.
fn indexed_row(row: &[u8], bits: u16, palette: &Palette, out: &mut [[u8; 3]]) {
    let per_byte = 8 / usize::from(bits);
    let mask = ((1u16 << bits) - 1) as u8;
    for (pixels, byte) in out.chunks_mut(per_byte).zip(row) {
        for (i, pixel) in pixels.iter_mut().enumerate() {
            let index = byte >> (8 - usize::from(bits) * (i + 1)) & mask;
            *pixel = palette[usize::from(index)];
        }
    }
}

/// Converts a row of pixels. Each mask marks the bits of one channel. `out` has three or four
/// samples for each pixel.
fn masked_row<const N: usize>(row: &[[u8; N]], masks: [u32; 4], out: &mut [u8], value: impl Fn([u8; N]) -> u32) {
    let channels = if masks[3] == 0 { 3 } else { 4 };
    let scale = masks.map(ChannelScale::new);
    for (out, pixel) in out.chunks_exact_mut(channels).zip(row) {
        let pixel = value(*pixel);
        for (sample, scale) in out.iter_mut().zip(&scale) {
            *sample = scale.sample(pixel);
        }
    }
}

/// Extracts one channel of a pixel as 8 bits.
struct ChannelScale {
    mask: u32,
    shift: u32,
    /// Bits of the channel, at most 8 of which are used.
    bits: u32,
}

impl ChannelScale {
    fn new(mask: u32) -> Self {
        let (low, bits) = (mask.trailing_zeros() & 31, mask.count_ones());
        Self { mask, shift: low + bits.saturating_sub(8), bits: bits.min(8) }
    }

    #[inline(always)]
    fn sample(&self, pixel: u32) -> u8 {
        let value = (pixel & self.mask) >> self.shift;
        match self.bits {
            8 => value as u8,
            0 => 0,
            bits => {
                let most = (1 << bits) - 1;
                ((value * 255 + most / 2) / most) as u8
            }
        }
    }
}

/// Makes a picture opaque if its alpha is zero everywhere. Programs without support for alpha write
/// such pictures, and Windows and browsers show them as opaque.
pub(crate) fn without_empty_alpha(mut raster: Raster) -> Raster {
    if raster.colour == Colour::Rgba
        && let Some(plane) = raster.planes.first_mut()
        && plane.samples.as_chunks::<4>().0.iter().all(|pixel| pixel[3] == 0)
    {
        plane.samples.as_chunks_mut::<4>().0.iter_mut().for_each(|pixel| pixel[3] = 255);
    }
    raster
}
