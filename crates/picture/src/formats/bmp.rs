//! BMP, with every depth and both run-length codes. The probe parses the information header, in its three lengths.

use std::sync::Arc;

use domain::Media;
use image::error::{ImageError, LimitErrorKind};
use image::{ColorType, ImageDecoder};

use super::codec_errors::{read_error, too_much_memory};
use crate::cancel::CancellableReader;
use crate::decoder::{DecodeContext, DecodeMemory, Decoder, check_size};
use crate::limits::Limits;
use crate::probed_picture::Probe;
use crate::raster::{Colour, Raster, allocate};
use crate::rejection::Rejection;

fn broken(why: &'static str) -> Rejection {
    Rejection::broken(Media::Bmp, why)
}

#[derive(Debug)]
struct BmpDecoder {
    size: (u32, u32),
}

pub(super) fn probe(file: &[u8], _: &Limits) -> Result<Probe, Rejection> {
    let early = || broken("it ends too early");
    let u16_at = |at: usize| {
        file.get(at..).and_then(<[u8]>::first_chunk::<2>).map(|two| u16::from_le_bytes(*two)).ok_or_else(early)
    };
    let u32_at = |at: usize| {
        file.get(at..).and_then(<[u8]>::first_chunk::<4>).map(|four| u32::from_le_bytes(*four)).ok_or_else(early)
    };
    let (size, depth) = if u32_at(14)? == 12 {
        // The header of OS/2 1.x has 16-bit sizes.
        ((u32::from(u16_at(18)?), u32::from(u16_at(20)?)), u16_at(24)?)
    } else {
        // A negative height means that rows start at the top; a negative width is invalid.
        let (width, height) = (u32_at(18)?.cast_signed(), u32_at(22)?.cast_signed());
        let width = u32::try_from(width).map_err(|_| broken("its width is negative"))?;
        ((width, height.unsigned_abs()), u16_at(28)?)
    };
    let mut probe = Probe::new(Media::Bmp, size, Arc::new(BmpDecoder { size }));
    probe.depth = u8::try_from(depth).unwrap_or(u8::MAX);
    probe.alpha = depth == 32;
    Ok(probe)
}

impl Decoder for BmpDecoder {
    fn memory_estimate(&self, _: u8) -> DecodeMemory {
        DecodeMemory { decoded: u64::from(self.size.0) * u64::from(self.size.1) * 4, working: 64 << 10 }
    }

    fn decode(&self, file: &[u8], context: &mut DecodeContext<'_>) -> Result<Raster, Rejection> {
        let limits = context.limits;
        let rejected = |error: ImageError| rejection_of(&error, limits);
        let reader = CancellableReader::new(file, context.stop);
        let mut decoder = image::codecs::bmp::BmpDecoder::new(reader).map_err(rejected)?;
        let mut decoder_limits = image::Limits::default();
        decoder_limits.max_alloc = Some(limits.max_memory);
        decoder.set_limits(decoder_limits).map_err(rejected)?;
        check_size(Media::Bmp, self.size, decoder.dimensions())?;
        let colour = match decoder.color_type() {
            ColorType::L8 => Colour::Gray,
            ColorType::Rgb8 => Colour::Rgb,
            ColorType::Rgba8 => Colour::Rgba,
            _ => return Err(broken("its pixels are stored in a way that is not supported")),
        };
        let size = u64::from(self.size.0) * u64::from(self.size.1) * colour.channels() as u64;
        if decoder.total_bytes() != size {
            return Err(broken("its headers contradict each other"));
        }
        let mut samples = allocate(usize::try_from(size).unwrap_or(usize::MAX))?;
        decoder.read_image(&mut samples).map_err(rejected)?;
        Ok(Raster::packed(self.size.0, self.size.1, colour, samples))
    }
}

/// What each error of the crate `image` means for a picture.
fn rejection_of(error: &ImageError, limits: &Limits) -> Rejection {
    match error {
        ImageError::IoError(error) => read_error(Media::Bmp, error),
        ImageError::Decoding(_) => broken("its header or its compressed pixels are damaged"),
        ImageError::Unsupported(_) => broken("its pixels are stored in a way that is not supported"),
        ImageError::Limits(error) => match error.kind() {
            LimitErrorKind::InsufficientMemory => too_much_memory(limits),
            _ => broken("its width or height is too large"),
        },
        ImageError::Encoding(_) | ImageError::Parameter(_) => {
            Rejection::engine_failed(format!("the BMP decoder was called wrongly: {error}"))
        }
    }
}
