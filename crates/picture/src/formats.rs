//! The decoders, one for each format.

pub(crate) mod bmp;
mod decoder_errors;
pub(crate) mod gif;
pub(crate) mod jpeg;
pub(crate) mod png;
pub(crate) mod webp;
