//! Decodes files into samples, with one decoder for each format, all of them in safe Rust.
//!
//! The probe has parsed and accepted the headers. A decoder that finds something else in the file than the probe did
//! rejects it. The result has the file's own colours: gray, RGB, or the planes of a JPEG.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::cancel::CancelFlag;
use crate::formats::{bmp, gif, jpeg, png, webp};
use crate::limits::Limits;
use crate::probed_picture::{FormatDetail, Probe};
use crate::raster::Raster;
use crate::rejection::Rejection;

/// Decodes the first frame of `file`: at `n` eighths of its size if the format allows it, at its full size otherwise.
///
/// A panic in a decoder is a bug of that decoder, so it is our failure and says nothing about the file.
pub(crate) fn decode(
    file: &[u8],
    probe: &Probe,
    n: u8,
    limits: &Limits,
    scratch: &mut jpeg::JpegScratch,
    stop: &CancelFlag,
) -> Result<Raster, Rejection> {
    let decoded = catch_panic(|| match &probe.detail {
        FormatDetail::Jpeg(header) => jpeg::decode(file, header, n, limits, scratch, stop),
        FormatDetail::Png { .. } => png::decode(file, probe, limits, stop),
        FormatDetail::Gif { first, transparent } => gif::decode(file, probe, *first, *transparent, stop),
        FormatDetail::Bmp => bmp::decode(file, probe, limits, stop),
        FormatDetail::WebP { .. } => webp::decode(file, probe, limits, stop),
    });
    // If the decoder was cancelled, its error says nothing about the picture.
    stop.check()?;
    decoded.map(Raster::without_opaque_alpha)
}

/// Returns what `work` returns, or [`Rejection::EngineFailed`] with the message of its panic.
pub(super) fn catch_panic<T>(work: impl FnOnce() -> Result<T, Rejection>) -> Result<T, Rejection> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(Rejection::from_panic(payload.as_ref())))
}
