//! PNG, every depth and colour type, interlaced or not, as 8 bits per sample.

mod chunks;
mod decoder;

pub(super) use self::chunks::probe;
