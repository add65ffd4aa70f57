//! WebP, lossy and lossless. Of an animation, the first frame is decoded. Rule: RFC 9649.
//!
//! The decoder reads all of its input before it begins, so it cannot be cancelled while it runs. Only the memory limit
//! bounds its duration, see [`crate::CancelFlag`].

use std::sync::Arc;

use domain::Media;
use image_webp::DecodingError;

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
    Rejection::broken(Media::WebP, why)
}

#[derive(Debug)]
struct WebPDecoder {
    size: (u32, u32),
    lossless: bool,
    /// The flags that the extended header should have, if its own flags differ from them.
    true_flags: Option<u8>,
    /// Length of the file in bytes.
    file_length: u64,
}

fn picture(size: (u32, u32), lossless: bool) -> Probe {
    Probe::new(Media::WebP, size, Arc::new(WebPDecoder { size, lossless, true_flags: None, file_length: 0 }))
}

/// The flags of an extended header. Rule: RFC 9649, 2.7.
const ALPHA: u8 = 0x10;
const EXIF: u8 = 0x08;
const XMP: u8 = 0x04;
const ANIMATION: u8 = 0x02;
/// The position of the flags in the file.
const FLAGS_AT: usize = 20;

/// Reads the chunks of the RIFF container.
pub(super) fn probe(file: &[u8], _: &Limits) -> Result<Probe, Rejection> {
    let mut extended: Option<Probe> = None;
    // Whether there is a chunk with a still picture.
    let mut still = false;
    let mut lossless = false;
    let mut flags = 0;
    let mut frames = 0;
    let mut at = 12;
    let container = file.get(4..).and_then(<[u8]>::first_chunk).map_or(0, |four| u32::from_le_bytes(*four) as usize);
    // What follows the container is not part of the picture.
    let end = if container < 12 { file.len() } else { file.len().min(8 + container) };
    while let Some(&[a, b, c, d, l0, l1, l2, l3]) = file.get(at..end).and_then(<[u8]>::first_chunk) {
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let body = at + 8..at + 8 + length;
        let data = file.get(body.clone()).ok_or_else(|| broken("it ends too early"))?;
        match (&[a, b, c, d], &mut extended) {
            (b"VP8 ", None) => return parse_lossy(data),
            (b"VP8L", None) => return parse_lossless(data),
            (b"VP8X", None) => extended = Some(parse_extended(data)?),
            (b"VP8 ", Some(_)) => still = true,
            (b"VP8L", Some(_)) => {
                still = true;
                lossless = true;
                // A lossless picture has its own flag for alpha, in bit 28 after the signature.
                flags |= if data.get(4).is_some_and(|byte| byte & 0x10 != 0) { ALPHA } else { 0 };
            }
            (b"ALPH", Some(_)) => flags |= ALPHA,
            (b"XMP ", Some(_)) => flags |= XMP,
            (b"ANMF", Some(_)) => {
                frames += 1;
                // The frame's own header comes first, then a chunk whose name tells whether the frame is lossless.
                lossless |= data.get(16..20) == Some(b"VP8L");
            }
            (b"ICCP", Some(probe)) => probe.colours = ColourSource::Profile(vec![body.clone()]),
            (b"EXIF", Some(probe)) => {
                flags |= EXIF;
                probe.orientation = exif::orientation(data);
            }
            _ => {}
        }
        // Chunks begin at even positions.
        at = body.end + length % 2;
    }
    let mut probe = extended.ok_or_else(|| broken("its pixels are missing"))?;
    probe.frames = frames.max(1);
    let stored = file.get(FLAGS_AT).copied().unwrap_or_default();
    let animated = stored & ANIMATION != 0 && frames > 0;
    // The chunks of a still picture show which features it has. The frames of an animation may
    // differ from each other, so the stored flags of an animation are kept.
    let kept = if animated { ALPHA | ANIMATION } else { 0 };
    let true_flags = stored & !(ALPHA | EXIF | XMP | ANIMATION) | stored & kept | flags & (ALPHA | EXIF | XMP) & !kept;
    if !animated && still {
        probe.alpha = true_flags & ALPHA != 0;
    }
    probe.decoder = Arc::new(WebPDecoder {
        size: probe.stored_size,
        lossless,
        true_flags: (true_flags != stored).then_some(true_flags),
        file_length: file.len() as u64,
    });
    Ok(probe)
}

fn too_short() -> Rejection {
    broken("its header is too short")
}

fn parse_lossy(data: &[u8]) -> Result<Probe, Rejection> {
    let &[_, _, _, 0x9D, 0x01, 0x2A, w0, w1, h0, h1] = data.first_chunk().ok_or_else(too_short)? else {
        return Err(broken("its first frame is not a key frame"));
    };
    let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
    Ok(picture((side(w0, w1), side(h0, h1)), false))
}

fn parse_lossless(data: &[u8]) -> Result<Probe, Rejection> {
    let &[0x2F, a, b, c, d] = data.first_chunk().ok_or_else(too_short)? else {
        return Err(broken("its signature is wrong"));
    };
    let bits = u32::from_le_bytes([a, b, c, d]);
    let mut probe = picture(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), true);
    probe.alpha = bits >> 28 & 1 == 1;
    Ok(probe)
}

fn parse_extended(data: &[u8]) -> Result<Probe, Rejection> {
    let &[flags, _, _, _, w0, w1, w2, h0, h1, h2] = data.first_chunk().ok_or_else(too_short)?;
    let side = |a: u8, b: u8, c: u8| u32::from_le_bytes([a, b, c, 0]) + 1;
    let mut probe = picture((side(w0, w1, w2), side(h0, h1, h2)), false);
    probe.alpha = flags & ALPHA != 0;
    Ok(probe)
}

impl Decoder for WebPDecoder {
    fn memory_estimate(&self, _: u8) -> DecodeMemory {
        let pixels = u64::from(self.size.0) * u64::from(self.size.1);
        // Besides the samples, the decoder holds the planes with their borders, or the transforms of the lossless
        // format. The copy of the file with corrected flags is added.
        let copied = if self.true_flags.is_some() { self.file_length } else { 0 };
        DecodeMemory { decoded: pixels * 4, working: pixels * if self.lossless { 4 } else { 2 } + copied }
    }

    fn decode(&self, file: &[u8], context: &mut DecodeContext<'_>) -> Result<Raster, Rejection> {
        let limits = context.limits;
        let rejected = |error: DecodingError| rejection_of(&error, limits);
        // The decoder refuses a file whose flags promise a chunk that is not there. Every other reader looks at the
        // chunks themselves. So this decoder gets a copy of the file whose flags match the chunks.
        let corrected = self.true_flags.map(|flags| {
            let mut file = file.to_vec();
            file.iter_mut().skip(FLAGS_AT).take(1).for_each(|stored| *stored = flags);
            file
        });
        let reader = CancellableReader::new(corrected.as_deref().unwrap_or(file), context.stop);
        let mut decoder = image_webp::WebPDecoder::new(reader).map_err(rejected)?;
        decoder.set_memory_limit(usize::try_from(limits.max_memory).unwrap_or(usize::MAX));
        check_size(Media::WebP, self.size, decoder.dimensions())?;
        if decoder.is_animated() {
            // The background colour of an animation is a hint for a web page, so it is replaced by transparency.
            decoder.set_background_color([0; 4]).map_err(rejected)?;
        }
        let size = decoder.output_buffer_size().ok_or_else(|| broken("its width times its height is too large"))?;
        let mut samples = allocate(size)?;
        decoder.read_image(&mut samples).map_err(rejected)?;
        let colour = if decoder.has_alpha() { Colour::Rgba } else { Colour::Rgb };
        Ok(Raster::packed(self.size.0, self.size.1, colour, samples))
    }
}

/// What each error of the crate `image-webp` means for a picture.
fn rejection_of(error: &DecodingError, limits: &Limits) -> Rejection {
    broken(match error {
        DecodingError::IoError(error) => return read_error(Media::WebP, error),
        DecodingError::MemoryLimitExceeded => return too_much_memory(limits),
        DecodingError::InvalidParameter(_) => {
            return Rejection::engine_failed(format!("the WebP decoder was called wrongly: {error}"));
        }
        DecodingError::NotEnoughInitData => "it ends too early",
        DecodingError::ChunkMissing | DecodingError::NoMoreFrames => "its pixels are missing",
        DecodingError::ImageTooLarge => "its width times its height is too large",
        DecodingError::FrameOutsideImage => "its first frame is larger than its canvas",
        DecodingError::AlphaChunkSizeMismatch | DecodingError::InconsistentImageSizes => {
            "its parts have different sizes"
        }
        DecodingError::UnsupportedFeature(_)
        | DecodingError::VersionNumberInvalid(_)
        | DecodingError::ColorSpaceInvalid(_) => "its pixels are stored in a way that is not supported",
        DecodingError::RiffSignatureInvalid(_)
        | DecodingError::WebpSignatureInvalid(_)
        | DecodingError::ChunkHeaderInvalid(_)
        | DecodingError::InvalidChunkSize
        | DecodingError::LosslessSignatureInvalid(_)
        | DecodingError::Vp8MagicInvalid(_) => "its header is damaged",
        _ => "its compressed pixels are damaged",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_codec_do_not_reach_the_sender() {
        let limits = Limits::default();
        let early = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        for (error, says) in [
            (DecodingError::IoError(early), "The WebP file is broken: it ends too early."),
            (DecodingError::BitStreamError, "its compressed pixels are damaged"),
            (DecodingError::MemoryLimitExceeded, "more memory than the limit of 384 MiB"),
        ] {
            let rejection = rejection_of(&error, &limits);
            assert!(rejection.to_string().contains(says), "{rejection}");
        }
        let bug = rejection_of(&DecodingError::InvalidParameter("Background color".to_owned()), &limits);
        assert!(matches!(bug, Rejection::EngineFailed { .. }) && !bug.to_string().contains("Background"), "{bug}");
    }
}
