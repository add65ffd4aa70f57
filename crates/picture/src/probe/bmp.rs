//! BMP: parses the information header, in its three lengths.

use domain::Media;

use crate::probed_picture::{FormatDetail, Probe};
use crate::rejection::Rejection;

pub(super) fn probe(file: &[u8]) -> Result<Probe, Rejection> {
    let early = || Rejection::broken(Media::Bmp, "it ends too early");
    let u16_at = |at: usize| {
        file.get(at..).and_then(<[u8]>::first_chunk::<2>).map(|two| u16::from_le_bytes(*two)).ok_or_else(early)
    };
    let u32_at = |at: usize| {
        file.get(at..).and_then(<[u8]>::first_chunk::<4>).map(|four| u32::from_le_bytes(*four)).ok_or_else(early)
    };
    let (stored, depth) = if u32_at(14)? == 12 {
        // The header of OS/2 1.x has 16-bit sizes.
        ((u32::from(u16_at(18)?), u32::from(u16_at(20)?)), u16_at(24)?)
    } else {
        // A negative height means that rows start at the top; a negative width is invalid.
        let (width, height) = (u32_at(18)?.cast_signed(), u32_at(22)?.cast_signed());
        let width = u32::try_from(width).map_err(|_| Rejection::broken(Media::Bmp, "its width is negative"))?;
        ((width, height.unsigned_abs()), u16_at(28)?)
    };
    let mut probe = Probe::new(Media::Bmp, stored, FormatDetail::Bmp);
    probe.depth = u8::try_from(depth).unwrap_or(u8::MAX);
    probe.alpha = depth == 32;
    Ok(probe)
}
