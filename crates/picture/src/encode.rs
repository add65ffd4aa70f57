//! Encodes pixels into files. Nothing of the source file is copied, so no metadata has to be removed: no EXIF, no
//! location, no profile, no comment. The pixels are sRGB, and readers take a file without a profile as sRGB, so no
//! profile is written.

mod dct;
mod huffman;
mod jpeg;
mod png;

pub(crate) use self::jpeg::jpeg;
pub(crate) use self::png::png;
