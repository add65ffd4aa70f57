//! Decodes a PNG, and maps the errors of the crate `png` to sentences.

use std::io::{self, BufRead, Seek};

use domain::Media;
use png::DecodingError;

use crate::cancel::CancellableReader;
use crate::decoder::{DecodeContext, DecodeMemory, Decoder, check_size};
use crate::formats::codec_errors::{read_error, too_much_memory};
use crate::limits::Limits;
use crate::raster::{Colour, Raster, allocate};
use crate::rejection::Rejection;

pub(super) fn broken(why: &'static str) -> Rejection {
    Rejection::broken(Media::Png, why)
}

/// The fields of the header chunk. Rule: PNG, third edition, 11.2.1.
#[derive(Clone, Copy, Debug)]
pub(super) struct PngDecoder {
    pub(super) size: (u32, u32),
    /// Bytes per pixel of the decoded rows.
    pub(super) channels: u8,
}

impl Decoder for PngDecoder {
    fn memory_estimate(&self, _: u8) -> DecodeMemory {
        let pixels = u64::from(self.size.0) * u64::from(self.size.1);
        // The inflated rows, and the buffers of the decoder. `Probe::memory_estimate` adds the copy
        // with premultiplied alpha.
        DecodeMemory { decoded: pixels * u64::from(self.channels), working: 256 << 10 }
    }

    fn decode(&self, file: &[u8], context: &mut DecodeContext<'_>) -> Result<Raster, Rejection> {
        let rejected = |error: DecodingError| rejection_of(&error, context.limits);
        let bytes = usize::try_from(context.limits.max_memory).unwrap_or(usize::MAX);
        let reader = CancellableReader::new(file, context.stop);
        let mut decoder = png::Decoder::new_with_limits(reader, png::Limits { bytes });
        // Text and profiles may inflate to a thousand times their stored size, so they are ignored.
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(rejected)?;
        check_size(Media::Png, self.size, reader.info().size())?;
        let invalid = || broken("its header is invalid");
        let mut samples = allocate(reader.output_buffer_size().ok_or_else(invalid)?)?;
        if let Some(frame) = reader.info().frame_control() {
            check_size(Media::Png, self.size, (frame.width, frame.height))?;
        }
        read_rows(&mut reader, &mut samples).map_err(rejected)?;
        let colour = match reader.output_color_type().0 {
            png::ColorType::Grayscale => Colour::Gray,
            png::ColorType::GrayscaleAlpha => Colour::GrayAlpha,
            png::ColorType::Rgb => Colour::Rgb,
            png::ColorType::Rgba => Colour::Rgba,
            png::ColorType::Indexed => return Err(invalid()),
        };
        Ok(Raster::packed(self.size.0, self.size.1, colour, samples))
    }
}

/// Reads all rows of the first frame into `samples`, whose length is exactly that of all rows.
///
/// Only the rows have to be there. A file may end after its pixels, without the end chunk, because
/// every viewer shows such a file.
fn read_rows<R: BufRead + Seek>(reader: &mut png::Reader<R>, samples: &mut [u8]) -> Result<(), DecodingError> {
    let (width, height) = reader.info().size();
    let row_bytes = reader.output_line_size(width).unwrap_or(usize::MAX).max(1);
    if reader.info().interlaced {
        let (colour, depth) = reader.output_color_type();
        let pixel_bits = colour.samples() as u8 * depth as u8;
        for _ in 0..interlaced_rows(width, height) {
            let Some(row) = reader.next_interlaced_row()? else { break };
            if let png::InterlaceInfo::Adam7(pass) = row.interlace() {
                png::expand_interlaced_row(samples, row_bytes, row.data(), pass, pixel_bits);
            }
        }
    } else {
        for row in samples.chunks_exact_mut(row_bytes) {
            reader.read_row(row)?;
        }
    }
    // A read after the last row checks the rest of the pixel data.
    match reader.read_row(&mut []) {
        Err(DecodingError::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        other => other.map(|_| ()),
    }
}

/// The number of rows that are stored for the seven passes of an interlaced picture. Rule: PNG, third edition, 8.
fn interlaced_rows(width: u32, height: u32) -> u32 {
    // For each pass: its first column, its first row, and the distances to its next column and to its next row.
    let passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
    let length = |side: u32, first: u32, step: u32| side.saturating_sub(first).div_ceil(step);
    passes.iter().filter(|(x, _, dx, _)| length(width, *x, *dx) > 0).map(|(_, y, _, dy)| length(height, *y, *dy)).sum()
}

/// What each error of the crate `png` means for a picture.
fn rejection_of(error: &DecodingError, limits: &Limits) -> Rejection {
    match error {
        DecodingError::IoError(error) => read_error(Media::Png, error),
        DecodingError::Format(detail) => {
            // The crate has no public list of its reasons, only their texts. So the texts are searched for words.
            let detail = detail.to_string();
            match detail {
                detail if detail.contains("CRC") => broken("a checksum is wrong"),
                detail if detail.contains("deflate") => broken("its compressed pixels are damaged"),
                detail if detail.contains("palette") => broken("its colour table is missing or too short"),
                _ => broken("its parts are invalid or in the wrong order"),
            }
        }
        DecodingError::LimitsExceeded => too_much_memory(limits),
        DecodingError::Parameter(error) => {
            Rejection::engine_failed(format!("the PNG decoder was called wrongly: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_codec_do_not_reach_the_sender() {
        let early = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        for (error, says) in [
            (DecodingError::IoError(early), "The PNG file is broken: it ends too early."),
            (DecodingError::LimitsExceeded, "more memory than the limit of 384 MiB"),
        ] {
            let rejection = rejection_of(&error, &Limits::default());
            assert!(rejection.to_string().contains(says), "{rejection}");
        }
    }
}
