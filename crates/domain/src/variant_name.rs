//! The name of a variant, which also says what to render: `512.jpg`, `fit256.jpg`, `full.png`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::media::Media;

/// The size and type of a variant. The size is the side of a square in pixels, 1 to [`VariantName::MAX_SIZE`], which
/// the picture fills or fits into. `None` is the picture at its own size, oriented and stripped of metadata. The type
/// is JPEG or PNG, the two that are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct VariantName {
    size: Option<u32>,
    fits: bool,
    media: Media,
}

/// A text that is no valid variant name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a variant is called <1 to {LARGEST}>.jpg, <size>.png, fit<size>.jpg, full.jpg or full.png, not \"{0}\"", LARGEST = VariantName::MAX_SIZE)]
pub struct InvalidVariantName(String);

impl VariantName {
    /// The side of the largest square in pixels (`docs/contracts/dropbox.md`, 3.1: 1 ≤ N ≤ 512).
    pub const MAX_SIZE: u32 = 512;

    /// The sides in pixels of the squares that every picture is shown in (`docs/contracts/dropbox.md`, 7.4).
    pub const STANDARD_SIZES: [u32; 3] = [512, 75, 25];

    /// The side in pixels of the square into which the thumbnail of a file or a rendition fits
    /// (`docs/adr/0017-thumbnails-keep-proportions.md`).
    pub const THUMBNAIL_SIZE: u32 = 256;

    /// A square of `size` pixels. None if the size or the type is not supported.
    pub fn square(size: u32, media: Media) -> Option<Self> {
        let ours = (1..=Self::MAX_SIZE).contains(&size) && matches!(media, Media::Jpeg | Media::Png);
        ours.then_some(Self { size: Some(size), fits: false, media })
    }

    /// The whole picture, no larger than a square of `size` pixels. None if the size or the type is not supported.
    pub fn fitting(size: u32, media: Media) -> Option<Self> {
        Self::square(size, media).map(|square| Self { fits: true, ..square })
    }

    /// The picture at its own size. None if the type is not supported.
    pub fn full(media: Media) -> Option<Self> {
        matches!(media, Media::Jpeg | Media::Png).then_some(Self { size: None, fits: false, media })
    }

    /// The side of the square, or None for the picture's own size.
    pub fn size(self) -> Option<u32> {
        self.size
    }

    /// Whether the whole picture fits into the square, rather than its centre filling it.
    pub fn fits(self) -> bool {
        self.fits
    }

    /// Whether it shows the whole picture or crop, rather than a square of it.
    pub fn shows_whole(self) -> bool {
        self.fits || self.size.is_none()
    }

    /// Whether this variant does not count against the limit on custom sizes of a picture. That is
    /// so for [`Self::STANDARD_SIZES`], for the picture's own size, and for two fitting sizes: thumbnails of files, and
    /// the largest one, which a client shows in order to crop.
    pub fn is_standard(self) -> bool {
        let standard: &[u32] = if self.fits { &[Self::MAX_SIZE, Self::THUMBNAIL_SIZE] } else { &Self::STANDARD_SIZES };
        self.size.is_none_or(|size| standard.contains(&size))
    }

    /// JPEG or PNG.
    pub fn media(self) -> Media {
        self.media
    }
}

impl fmt::Display for VariantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.size {
            Some(size) => write!(f, "{}{size}.{}", if self.fits { "fit" } else { "" }, self.media.extension()),
            None => write!(f, "full.{}", self.media.extension()),
        }
    }
}

impl FromStr for VariantName {
    type Err = InvalidVariantName;

    fn from_str(name: &str) -> Result<Self, InvalidVariantName> {
        let parse = || {
            let (size, extension) = name.split_once('.')?;
            let media = [Media::Jpeg, Media::Png].into_iter().find(|media| media.extension() == extension)?;
            match (size, size.strip_prefix("fit")) {
                ("full", _) => Self::full(media),
                (_, Some(size)) => Self::fitting(size.parse().ok()?, media),
                (size, None) => Self::square(size.parse().ok()?, media),
            }
        };
        parse().filter(|parsed| parsed.to_string() == name).ok_or_else(|| InvalidVariantName(name.to_owned()))
    }
}

impl From<VariantName> for String {
    fn from(name: VariantName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for VariantName {
    type Error = InvalidVariantName;

    fn try_from(name: String) -> Result<Self, InvalidVariantName> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sizes_do_not_count_as_custom() {
        for (name, standard) in [
            ("512.jpg", true),
            ("75.png", true),
            ("25.png", true),
            ("full.png", true),
            ("fit512.jpg", true),
            ("fit256.jpg", true),
            ("fit75.jpg", false),
            ("256.jpg", false),
            ("1.png", false),
        ] {
            assert_eq!(name.parse().map(VariantName::is_standard), Ok(standard), "{name}");
        }
    }

    #[test]
    fn a_name_reads_as_it_is_written() {
        for name in ["512.jpg", "1.png", "fit256.jpg", "full.jpg", "full.png"] {
            assert_eq!(name.parse::<VariantName>().map(String::from), Ok(name.to_owned()));
        }
        for name in [
            "",
            "0.jpg",
            "513.jpg",
            "-1.jpg",
            "075.jpg",
            "+75.jpg",
            "75.gif",
            "75",
            "full",
            "75.jpg.png",
            "fit.jpg",
            "fit0.jpg",
            "fitfit1.jpg",
        ] {
            assert!(name.parse::<VariantName>().is_err(), "{name}");
        }
    }
}
