//! ICO: Windows icons and favicons. The largest picture of the file is used.
//!
//! Rule: "Icons" (Microsoft, 1995), and "The evolution of the ICO file format" for PNG entries and alpha. An entry is a
//! whole PNG, or a BMP without its file header. The height in the BMP is twice the height of the picture, because a
//! mask of one bit for each pixel follows the colours. A one in the mask makes its pixel transparent. The mask counts
//! only if the picture has no alpha.

use std::ops::Range;
use std::sync::Arc;

use domain::Media;

use super::bmp::{BmpHeader, Coding, decode_pixels, without_empty_alpha};
use super::png;
use crate::cancel::CancelFlag;
use crate::colour_source::ColourSource;
use crate::decoder::{DecodeContext, DecodeMemory, Decoder};
use crate::limits::Limits;
use crate::probed_picture::Probe;
use crate::raster::{Colour, Raster, allocate};
use crate::rejection::Rejection;

fn truncated() -> Rejection {
    Rejection::broken(Media::Ico, "it ends too early")
}

/// Finds the largest entry and probes it. Only that entry is read, so entries that overlap cost nothing.
pub(super) fn probe(file: &[u8], limits: &Limits) -> Result<Probe, Rejection> {
    let entry = largest_entry(file).ok_or_else(truncated)?;
    let stored = file.get(entry.clone()).ok_or_else(truncated)?;
    let mut probe = match Media::sniff(stored) {
        Some(Media::Png) => probe_png(stored, entry, limits),
        _ => probe_bmp(stored, entry),
    }
    .map_err(in_icon)?;
    probe.media = Media::Ico;
    Ok(probe)
}

/// The position of the entry with the most pixels. Among entries of equal size, the
/// first with the most bits per pixel wins.
fn largest_entry(file: &[u8]) -> Option<Range<usize>> {
    let &[_, _, _, _, c0, c1] = file.first_chunk()?;
    let entries = file.get(6..)?.as_chunks::<16>().0.iter().take(usize::from(u16::from_le_bytes([c0, c1])));
    let mut largest: Option<((u32, u16), Range<usize>)> = None;
    for &[w, h, colours, _, _, _, b0, b1, l0, l1, l2, l3, o0, o1, o2, o3] in entries {
        // 0 means 256. PNG entries are often larger than 256, and say 0 as well.
        let side = |side: u8| if side == 0 { 256 } else { u32::from(side) };
        // Old files give the number of colours instead of the bits; 0 colours mean 256.
        let bits = match (u16::from_le_bytes([b0, b1]), colours) {
            (0, 0) => 8,
            (0, colours) => colours.next_power_of_two().trailing_zeros() as u16,
            (bits, _) => bits,
        };
        let rank = (side(w) * side(h), bits);
        let start = u32::from_le_bytes([o0, o1, o2, o3]) as usize;
        let end = start.saturating_add(u32::from_le_bytes([l0, l1, l2, l3]) as usize).min(file.len());
        if largest.as_ref().is_none_or(|(other, _)| rank > *other) {
            largest = Some((rank, start..end));
        }
    }
    largest.map(|(_, position)| position)
}

/// Changes the rejection of a broken entry so that it names ICO. The decoder of the entry says that a PNG or a BMP is
/// broken, but the client sent an ICO.
fn in_icon(rejection: Rejection) -> Rejection {
    match rejection {
        Rejection::Broken { why, .. } => Rejection::broken(Media::Ico, why),
        other => other,
    }
}

#[derive(Debug)]
struct PngEntry {
    position: Range<usize>,
    decoder: Arc<dyn Decoder>,
}

fn probe_png(stored: &[u8], position: Range<usize>, limits: &Limits) -> Result<Probe, Rejection> {
    let mut probe = png::probe(stored, limits)?;
    if let ColourSource::DeflatedProfile(profile) = &mut probe.colours {
        // `png::probe` counts from the start of the entry. The profile is read by its position in the whole icon.
        *profile = profile.start + position.start..profile.end + position.start;
    }
    probe.decoder = Arc::new(PngEntry { position, decoder: probe.decoder });
    Ok(probe)
}

impl Decoder for PngEntry {
    fn memory_estimate(&self, n: u8) -> DecodeMemory {
        self.decoder.memory_estimate(n)
    }

    fn decode(&self, file: &[u8], context: &mut DecodeContext<'_>) -> Result<Raster, Rejection> {
        let stored = file.get(self.position.clone()).ok_or_else(truncated)?;
        self.decoder.decode(stored, context).map_err(in_icon)
    }
}

#[derive(Debug)]
struct BmpEntry {
    position: Range<usize>,
    header: BmpHeader,
}

fn probe_bmp(stored: &[u8], position: Range<usize>) -> Result<Probe, Rejection> {
    let mut header = BmpHeader::parse(stored, 0, None)?;
    header.size.1 /= 2;
    if header.bits == 32 && header.coding == Coding::Masks([0xFF_0000, 0xFF00, 0xFF, 0]) {
        // In an icon the fourth byte of a pixel is alpha.
        header.coding = Coding::Masks([0xFF_0000, 0xFF00, 0xFF, 0xFF00_0000]);
    }
    if header.coding == Coding::RunLength {
        return Err(Rejection::Unsupported {
            media: Some(Media::Ico),
            what: "ICO with run-length compression".into(),
            remedy: Media::Ico.remedy().into(),
        });
    }
    let (size, bits) = (header.size, header.bits);
    let mut probe = Probe::new(Media::Ico, size, Arc::new(BmpEntry { position, header }));
    probe.depth = u8::try_from(bits).unwrap_or(u8::MAX);
    probe.alpha = true;
    Ok(probe)
}

impl Decoder for BmpEntry {
    fn memory_estimate(&self, _: u8) -> DecodeMemory {
        let pixels = u64::from(self.header.size.0) * u64::from(self.header.size.1);
        // A picture without alpha gets its alpha from the mask, in a second copy.
        DecodeMemory { decoded: pixels * 4, working: pixels * 4 + (64 << 10) }
    }

    fn decode(&self, file: &[u8], context: &mut DecodeContext<'_>) -> Result<Raster, Rejection> {
        let stored = file.get(self.position.clone()).ok_or_else(truncated)?;
        let raster = decode_pixels(stored, &self.header, self.header.end, context.stop).map_err(in_icon)?;
        let has_alpha = raster.colour == Colour::Rgba
            && raster.plane().is_some_and(|plane| plane.samples.as_chunks::<4>().0.iter().any(|pixel| pixel[3] != 0));
        if has_alpha { Ok(raster) } else { self.apply_mask(stored, without_empty_alpha(raster), context.stop) }
    }
}

impl BmpEntry {
    /// Makes those pixels transparent that the mask marks. If the mask is missing, the picture
    /// stays opaque.
    fn apply_mask(&self, stored: &[u8], raster: Raster, stop: &CancelFlag) -> Result<Raster, Rejection> {
        let (width, height) = (self.header.size.0 as usize, self.header.size.1 as usize);
        let colours = usize::try_from(self.header.row_bytes()).unwrap_or(usize::MAX).saturating_mul(height);
        let mask = stored.get(self.header.end.saturating_add(colours)..).unwrap_or_default();
        let Some(plane) = raster.plane() else { return Ok(raster) };
        let mut samples = allocate(width * height * 4)?;
        let pixels = samples.as_chunks_mut::<4>().0;
        for (pixel, colour) in pixels.iter_mut().zip(plane.samples.chunks_exact(raster.colour.channels())) {
            *pixel = [colour[0], colour[1], colour[2], 255];
        }
        for (y, row) in mask.chunks(width.div_ceil(32) * 4).take(height).enumerate() {
            stop.check()?;
            let at = if self.header.top_down { y } else { height - 1 - y };
            for (x, pixel) in pixels[at * width..][..width].iter_mut().enumerate() {
                if row.get(x / 8).is_some_and(|byte| byte >> (7 - x % 8) & 1 == 1) {
                    pixel[3] = 0;
                }
            }
        }
        Ok(Raster::packed(raster.width, raster.height, Colour::Rgba, samples))
    }
}
