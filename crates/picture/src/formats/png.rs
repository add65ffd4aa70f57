//! PNG, every depth and colour type, interlaced or not, as 8 bits per sample.
//!
//! The probe reads the chunks up to the first that holds pixels. None is inflated.

use std::sync::Arc;

use domain::Media;
use png::DecodingError;

use super::codec_errors::{read_error, too_much_memory};
use crate::cancel::CancellableReader;
use crate::colour_source::ColourSource;
use crate::decoder::{DecodeContext, DecodeMemory, Decoder, check_size};
use crate::exif;
use crate::limits::Limits;
use crate::probed_picture::Probe;
use crate::raster::{Colour, Raster, allocate};
use crate::rejection::Rejection;

fn broken(why: &'static str) -> Rejection {
    Rejection::broken(Media::Png, why)
}

/// The fields of the header chunk. Rule: PNG, third edition, 11.2.1.
#[derive(Clone, Copy, Debug)]
struct PngDecoder {
    size: (u32, u32),
    /// Bytes per pixel of the decoded rows.
    channels: u8,
}

pub(super) fn probe(file: &[u8], _: &Limits) -> Result<Probe, Rejection> {
    let mut at = 8;
    let mut found: Option<(Probe, PngDecoder)> = None;
    loop {
        let head = file.get(at..).and_then(<[u8]>::first_chunk::<8>).ok_or_else(|| broken("it ends too early"))?;
        let &[l3, l2, l1, l0, kind @ ..] = head;
        let length = u32::from_be_bytes([l3, l2, l1, l0]) as usize;
        let body = at + 8..at + 8 + length;
        // Pixels may be truncated; the decoder rejects such a file.
        if &kind == b"IDAT" {
            let (mut probe, decoder) = found.ok_or_else(|| broken("its header is missing"))?;
            probe.decoder = Arc::new(decoder);
            return Ok(probe);
        }
        let data = file.get(body.clone()).ok_or_else(|| broken("it ends too early"))?;
        match (&kind, &mut found) {
            (b"IHDR", None) => found = Some(parse_header(data)?),
            (b"IHDR", Some(_)) => return Err(broken("it has two headers")),
            (_, None) => return Err(broken("its header is missing")),
            (b"tRNS", Some((probe, decoder))) => {
                probe.alpha = true;
                // Transparency turns gray into pairs and colours into quadruples.
                decoder.channels += decoder.channels % 2;
            }
            (b"acTL", Some((probe, _))) => {
                if let Some(&[a, b, c, d]) = data.first_chunk() {
                    probe.frames = u32::from_be_bytes([a, b, c, d]).max(1);
                }
            }
            (b"eXIf", Some((probe, _))) => probe.orientation = exif::orientation(data),
            (b"iCCP", Some((probe, _))) => {
                // A name of at most 79 bytes, a zero byte, and the method, which is always zero as well.
                if let Some(name) = data.iter().take(80).position(|byte| *byte == 0).filter(|n| n + 2 < length) {
                    probe.colours = ColourSource::DeflatedProfile(body.start + name + 2..body.end);
                }
            }
            (b"IEND", _) => return Err(broken("its pixels are missing")),
            _ => {}
        }
        at = body.end + 4;
    }
}

fn parse_header(data: &[u8]) -> Result<(Probe, PngDecoder), Rejection> {
    let wrong = || broken("its header is invalid");
    let &[w3, w2, w1, w0, h3, h2, h1, h0, depth, colour, ..] = data else { return Err(wrong()) };
    let (channels, alpha) = match colour {
        0 => (1, false),
        2 | 3 => (3, false),
        4 => (2, true),
        6 => (4, true),
        _ => return Err(wrong()),
    };
    let size = (u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0]));
    let decoder = PngDecoder { size, channels };
    let mut probe = Probe::new(Media::Png, size, Arc::new(decoder));
    (probe.depth, probe.alpha) = (depth, alpha);
    Ok((probe, decoder))
}

impl Decoder for PngDecoder {
    fn memory_estimate(&self, _: u8) -> DecodeMemory {
        let pixels = u64::from(self.size.0) * u64::from(self.size.1);
        // The inflated rows, and a copy with premultiplied alpha.
        DecodeMemory { decoded: pixels * u64::from(self.channels), working: 256 << 10 }
    }

    fn decode(&self, file: &[u8], context: &mut DecodeContext<'_>) -> Result<Raster, Rejection> {
        let rejected = |error: DecodingError| rejection_of(&error, context.limits);
        let bytes = usize::try_from(context.limits.max_memory).unwrap_or(usize::MAX);
        let reader = CancellableReader::new(file, context.stop);
        let mut decoder = png::Decoder::new_with_limits(reader, png::Limits { bytes });
        // Text and profiles may be deflated a thousand to one, so they are ignored.
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(rejected)?;
        check_size(Media::Png, self.size, reader.info().size())?;
        let invalid = || broken("its header is invalid");
        let mut samples = allocate(reader.output_buffer_size().ok_or_else(invalid)?)?;
        let info = reader.next_frame(&mut samples).map_err(rejected)?;
        let colour = match info.color_type {
            png::ColorType::Grayscale => Colour::Gray,
            png::ColorType::GrayscaleAlpha => Colour::GrayAlpha,
            png::ColorType::Rgb => Colour::Rgb,
            png::ColorType::Rgba => Colour::Rgba,
            png::ColorType::Indexed => return Err(invalid()),
        };
        check_size(Media::Png, self.size, (info.width, info.height))?;
        Ok(Raster::packed(info.width, info.height, colour, samples))
    }
}

/// What each error of the crate `png` means for a picture.
fn rejection_of(error: &DecodingError, limits: &Limits) -> Rejection {
    match error {
        DecodingError::IoError(error) => read_error(Media::Png, error),
        DecodingError::Format(detail) => {
            // The crate has no public list of its reasons, only their texts.
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
