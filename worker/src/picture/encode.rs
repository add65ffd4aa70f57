//! Pixels into files. Nothing of the source file is passed on, so nothing has to be removed: no EXIF, no place, no
//! profile, no comment; sRGB is what a file without a profile means.

mod dct;
mod huffman;
mod jpeg;
mod png;

pub(super) use self::huffman::ZIGZAG;
pub(super) use self::jpeg::jpeg;
pub(super) use self::png::png;
