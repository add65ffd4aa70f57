//! BMP of Windows and of OS/2: every depth up to 32 bits, masks, and all run-length codes.
//!
//! A BMP is a file header, an information header, a colour table and rows. The icons of ICO have no file header, so
//! [`decode_pixels`] and [`BmpHeader`] work without one.

mod header;
mod pixels;
mod rejections;
mod run_length;

use std::sync::Arc;

use domain::Media;

pub(crate) use self::header::{BmpHeader, Coding};
pub(crate) use self::pixels::without_empty_alpha;
use self::rejections::truncated;
use crate::cancel::CancelFlag;
use crate::decoder::{DecodeContext, DecodeMemory, Decoder};
use crate::limits::Limits;
use crate::probed_picture::Probe;
use crate::raster::Raster;
use crate::rejection::Rejection;

#[derive(Debug)]
struct BmpDecoder {
    header: BmpHeader,
    /// The position of the pixels.
    pixels: usize,
}

/// The length of the file header, which has the position of the pixels at byte 10.
const FILE_HEADER: usize = 14;

pub(super) fn probe(file: &[u8], _: &Limits) -> Result<Probe, Rejection> {
    let offset = file.get(10..).and_then(<[u8]>::first_chunk).ok_or_else(truncated)?;
    let offset = u32::from_le_bytes(*offset) as usize;
    let header = BmpHeader::parse(file, FILE_HEADER, Some(offset))?;
    // Some programs write 0 instead of the position. Then the pixels follow the colour table.
    let pixels = if offset == 0 { header.end } else { offset };
    let (size, bits, alpha) = (header.size, header.bits, header.has_alpha());
    let mut probe = Probe::new(Media::Bmp, size, Arc::new(BmpDecoder { header, pixels }));
    probe.depth = u8::try_from(bits).unwrap_or(u8::MAX);
    probe.alpha = alpha;
    Ok(probe)
}

impl Decoder for BmpDecoder {
    fn memory_estimate(&self, _: u8) -> DecodeMemory {
        let channels = if self.header.has_alpha() { 4 } else { 3 };
        DecodeMemory {
            decoded: u64::from(self.header.size.0) * u64::from(self.header.size.1) * channels,
            working: 64 << 10,
        }
    }

    fn decode(&self, file: &[u8], context: &mut DecodeContext<'_>) -> Result<Raster, Rejection> {
        decode_pixels(file, &self.header, self.pixels, context.stop).map(without_empty_alpha)
    }
}

/// Decodes the pixels at the position `pixels` of `file`. Alpha that is zero everywhere stays as it is. The caller has
/// checked that neither side of the picture is zero.
pub(crate) fn decode_pixels(
    file: &[u8],
    header: &BmpHeader,
    pixels: usize,
    stop: &CancelFlag,
) -> Result<Raster, Rejection> {
    let stored = file.get(pixels..).ok_or_else(truncated)?;
    let palette = pixels::palette(file, header)?;
    match header.coding {
        Coding::RunLength => run_length::read_runs(stored, header, &palette, stop),
        Coding::Plain | Coding::Masks(_) => pixels::read_rows(stored, header, &palette, stop),
    }
}
