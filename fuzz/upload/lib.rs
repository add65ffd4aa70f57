//! The one module of `upload` that the picture engine uses, by itself.

#![forbid(unsafe_code)]

#[path = "../../upload/src/media.rs"]
mod media;

pub use media::{Media, SNIFF_BYTES};
