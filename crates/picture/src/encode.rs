//! Encodes pixels into files. Nothing of the source file is copied, so no metadata has to be removed: no EXIF, no
//! location, no profile, no comment. The pixels are sRGB, which is what a file without a profile means.

mod dct;
mod huffman;
mod jpeg;
mod png;

pub(super) use self::huffman::ZIGZAG;
pub(super) use self::jpeg::jpeg;
pub(super) use self::png::png;
