//! GIF: decodes the first frame and paints it on its canvas. The rest of the file is not read.
//!
//! Rule: GIF89a, sections 18 to 22.

mod frame_list;
mod lzw;

use std::sync::Arc;

use domain::Media;

use self::frame_list::{colour_table_bytes, list_frames};
use crate::cancel::CancelFlag;
use crate::decoder::{DecodeContext, DecodeMemory, Decoder};
use crate::limits::Limits;
use crate::probed_picture::Probe;
use crate::raster::{Colour, Raster, allocate};
use crate::rejection::Rejection;

#[derive(Debug)]
struct GifDecoder {
    size: (u32, u32),
    /// The position of the first frame's descriptor.
    first: usize,
    /// The index of transparent pixels in that frame.
    transparent: Option<u8>,
}

/// Finds the canvas and its first frame, and counts the frames.
///
/// If the first frame is larger than the canvas or lies partly outside, the canvas is enlarged to contain the frame, as
/// in browsers.
pub(super) fn probe(file: &[u8], limits: &Limits) -> Result<Probe, Rejection> {
    let &[w0, w1, h0, h1, flags, _, _] = file.get(6..).and_then(<[u8]>::first_chunk).ok_or_else(truncated)?;
    let size = (u32::from(u16::from_le_bytes([w0, w1])), u32::from(u16::from_le_bytes([h0, h1])));
    let frames = list_frames(file, 13 + colour_table_bytes(flags), limits.max_frames);
    let first = frames.first_descriptor.ok_or_else(truncated)?;
    let &[l0, l1, t0, t1, w0, w1, h0, h1] = file.get(first..).and_then(<[u8]>::first_chunk).ok_or_else(truncated)?;
    let end = |from: [u8; 2], length: [u8; 2]| {
        let (from, length) = (u32::from(u16::from_le_bytes(from)), u32::from(u16::from_le_bytes(length)));
        // A frame without pixels does not enlarge the canvas.
        if length == 0 { 0 } else { from + length }
    };
    let size = (size.0.max(end([l0, l1], [w0, w1])), size.1.max(end([t0, t1], [h0, h1])));
    let decoder = GifDecoder { size, first, transparent: frames.transparent };
    let mut probe = Probe::new(Media::Gif, size, Arc::new(decoder));
    // The first frame may leave parts of the canvas empty; those are transparent.
    probe.alpha = true;
    probe.frames = frames.count;
    Ok(probe)
}

impl Decoder for GifDecoder {
    fn memory_estimate(&self, _: u8) -> DecodeMemory {
        let pixels = u64::from(self.size.0) * u64::from(self.size.1);
        // The canvas, and the indices of the frame that is painted on it.
        DecodeMemory { decoded: pixels * 4, working: pixels }
    }

    fn decode(&self, file: &[u8], context: &mut DecodeContext<'_>) -> Result<Raster, Rejection> {
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let frame = GifFrame::new(file, self.first).ok_or_else(truncated)?;
        let indices = frame.indices(context.stop)?;
        let colours = rgba_palette(frame.palette, self.transparent);
        let has_canvas_size = (frame.left, frame.top, frame.width, frame.height) == (0, 0, width, height);
        let covers_canvas = has_canvas_size && indices.len() == width * height;
        // Most tables define every index. With a smaller table the result has an alpha channel here. The caller removes
        // it if the pixels use only indices that are defined.
        if covers_canvas && colours.iter().all(|colour| colour[3] == 255) {
            let samples = frame.paint_on_canvas(&indices, &colours.map(|[r, g, b, _]| [r, g, b]), width, height)?;
            return Ok(Raster::packed(self.size.0, self.size.1, Colour::Rgb, samples));
        }
        let samples = frame.paint_on_canvas(&indices, &colours, width, height)?;
        Ok(Raster::packed(self.size.0, self.size.1, Colour::Rgba, samples))
    }
}

fn truncated() -> Rejection {
    Rejection::broken(Media::Gif, "it ends too early")
}

/// Returns RGBA for every index. An index that `palette` lacks is transparent, as is the index `transparent`.
fn rgba_palette(palette: &[u8], transparent: Option<u8>) -> [[u8; 4]; 256] {
    let mut colours = [[0; 4]; 256];
    for (colour, &[r, g, b]) in colours.iter_mut().zip(palette.as_chunks().0) {
        *colour = [r, g, b, 255];
    }
    if let Some(index) = transparent {
        colours[usize::from(index)][3] = 0;
    }
    colours
}

struct GifFrame<'a> {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    interlaced: bool,
    palette: &'a [u8],
    /// The byte with the code size, and the sub-blocks.
    data: &'a [u8],
}

impl<'a> GifFrame<'a> {
    /// The frame whose descriptor is at `at`; None if the file ends before its data.
    fn new(file: &'a [u8], at: usize) -> Option<Self> {
        let (&[l0, l1, t0, t1, w0, w1, h0, h1, flags], rest) = file.get(at..)?.split_first_chunk()?;
        let number = |low, high| usize::from(u16::from_le_bytes([low, high]));
        let (own, data) = rest.split_at_checked(colour_table_bytes(flags))?;
        let palette = if own.is_empty() { file.get(13..13 + colour_table_bytes(*file.get(10)?))? } else { own };
        let (left, top, width, height) = (number(l0, l1), number(t0, t1), number(w0, w1), number(h0, h1));
        Some(Self { left, top, width, height, interlaced: flags & 0x40 != 0, palette, data })
    }

    /// Returns the index of every pixel, in the order of the stored rows.
    ///
    /// The last pixels may be missing if the end of the data is marked, because some encoders write
    /// too few pixels. Missing pixels stay transparent, as in browsers.
    fn indices(&self, stop: &CancelFlag) -> Result<Vec<u8>, Rejection> {
        let (size, mut rest) = self.data.split_first().ok_or_else(truncated)?;
        let mut is_complete = false;
        let blocks = std::iter::from_fn(|| {
            let (length, behind) = rest.split_first()?;
            is_complete = *length == 0;
            // A truncated sub-block holds only the bytes that are there.
            let (block, behind) = behind.split_at(usize::from(*length).min(behind.len()));
            rest = behind;
            (*length > 0).then_some(block)
        });
        let mut indices = allocate(self.width * self.height)?;
        let found = lzw::decompress(*size, blocks, &mut indices, stop)?;
        if found.indices == 0 && !indices.is_empty() || found.indices < indices.len() && !found.ended && !is_complete {
            return Err(truncated());
        }
        indices.truncate(found.indices);
        Ok(indices)
    }

    /// Paints the frame at its position on an otherwise empty canvas.
    fn paint_on_canvas<const N: usize>(
        &self,
        indices: &[u8],
        colours: &[[u8; N]; 256],
        width: usize,
        height: usize,
    ) -> Result<Vec<u8>, Rejection> {
        let mut samples = allocate(width * height * N)?;
        let canvas = samples.as_chunks_mut::<N>().0;
        for (row, indices) in self.stored_rows().zip(indices.chunks(self.width.max(1))) {
            let (from, to) = ((self.top + row) * width + self.left.min(width), (self.top + row + 1) * width);
            let row = canvas.get_mut(from..to).unwrap_or_default();
            for (pixel, index) in row.iter_mut().zip(indices) {
                *pixel = colours[usize::from(*index)];
            }
        }
        Ok(samples)
    }

    /// Returns the row numbers in the order in which they are stored. Rule: GIF89a, appendix E.
    fn stored_rows(&self) -> impl Iterator<Item = usize> {
        let passes: &[(usize, usize)] = if self.interlaced { &[(0, 8), (4, 8), (2, 4), (1, 2)] } else { &[(0, 1)] };
        let height = self.height;
        passes.iter().flat_map(move |(from, step)| (*from..height).step_by(*step))
    }
}
