//! Bytes into samples, one decoder for each kind of file, all of them in safe Rust.
//!
//! The probe has seen the headers and passed them; a decoder that finds something else in the file than the probe did
//! says so and stops. What comes back has the file's own colours: gray, RGB, or the planes of a JPEG.

mod bmp;
mod gif;
mod png;
mod webp;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::probe::FormatDetail;
use super::raster::Raster;
use super::{CancelFlag, Limits, Probe, Rejection, jpeg};

/// The first frame of `file`, at `n` eighths of its size where the kind allows it, at its full size otherwise.
///
/// A panic in a decoder is a bug of that decoder, and for the person who sent the file one more way to be broken.
pub(super) fn decode(
    file: &[u8],
    probe: &Probe,
    n: u8,
    limits: &Limits,
    desk: &mut jpeg::JpegScratch,
    stop: &CancelFlag,
) -> Result<Raster, Rejection> {
    let decoded = catch_unwind(AssertUnwindSafe(|| match &probe.detail {
        FormatDetail::Jpeg(header) => jpeg::decode(file, header, n, limits, desk, stop),
        FormatDetail::Png { .. } => png::decode(file, probe, limits, stop),
        FormatDetail::Gif { first, transparent } => gif::decode(file, probe, *first, *transparent, stop),
        FormatDetail::Bmp => bmp::decode(file, probe, limits, stop),
        FormatDetail::WebP { .. } => webp::decode(file, probe, limits, stop),
    }));
    // However a stopped decoder puts it, the picture is not to blame.
    stop.check()?;
    match decoded {
        Ok(raster) => raster.map(Raster::without_opaque_alpha),
        Err(_) => Err(Rejection::decoder_panicked(file)),
    }
}

/// A decoder that disagrees with the probe about the size: headers that lie.
fn check_size(probe: &Probe, size: (u32, u32)) -> Result<(), Rejection> {
    if probe.stored_size == size {
        Ok(())
    } else {
        Err(Rejection::broken(probe.media, "its headers contradict each other"))
    }
}
