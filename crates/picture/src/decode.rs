//! Calls the decoder of a picture, and turns its panics into failures.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::decoder::DecodeContext;
use crate::probed_picture::Probe;
use crate::raster::Raster;
use crate::rejection::Rejection;

/// Decodes the first frame of `file`, at the scale of `context` if the format allows it, else at its full size.
///
/// A panic in a decoder is a bug of that decoder, so it is our failure and says nothing about the file.
pub(crate) fn decode(file: &[u8], probe: &Probe, context: &mut DecodeContext<'_>) -> Result<Raster, Rejection> {
    let decoded = catch_panic(|| probe.decoder.decode(file, context));
    // If the decoder was cancelled, its error says nothing about the picture.
    context.stop.check()?;
    decoded.map(Raster::without_opaque_alpha)
}

/// Returns what `work` returns, or [`Rejection::EngineFailed`] with the message of its panic.
pub(super) fn catch_panic<T>(work: impl FnOnce() -> Result<T, Rejection>) -> Result<T, Rejection> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(Rejection::from_panic(payload.as_ref())))
}
