//! A crop: the part of a picture that is shown, how the picture is turned, and how the part fills a square
//! (`docs/contracts/dropbox.md`, 4).

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::rotation::Rotation;
use crate::unknown_value::UnknownValue;

/// The side in pixels of [`CropSpace::Square`] (`docs/contracts/dropbox.md`, 4.1).
pub const CROP_SPACE: u32 = 512;

/// The generation of a picture that was never cropped. Every crop begins the next generation.
pub const UNCROPPED_GENERATION: u32 = 0;

/// What is shown of a picture, always of the original. The picture is turned first, then the part is cut out, then the
/// part fills a square. The default is the upright picture, whose centre square is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// The part of the turned picture, or all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<CropPart>,
    /// The turn of the upright picture, before the part is cut out.
    pub rotate: Rotation,
    /// How a part that is not square becomes a square.
    pub fit: CropFit,
}

/// A rectangle of a turned picture. It lies within its space and is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CropPart {
    /// The unit of the four numbers.
    pub space: CropSpace,
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width, at least 1.
    pub w: u32,
    /// Height, at least 1.
    pub h: u32,
}

/// The space that the numbers of a crop are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CropSpace {
    /// The centre square of the turned picture, which is [`CROP_SPACE`] wide and high whatever the size of the picture.
    /// It is what the selection widget of the contract shows.
    #[default]
    Square,
    /// The pixels of the turned picture.
    Picture,
}

impl CropSpace {
    /// The name in requests and in the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Square => "square",
            Self::Picture => "picture",
        }
    }
}

impl FromStr for CropSpace {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        let spaces = [Self::Square, Self::Picture];
        spaces.into_iter().find(|space| space.as_str() == text).ok_or_else(|| UnknownValue(text.to_owned()))
    }
}

/// How a part that is not square becomes a square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CropFit {
    /// The centre square of the part fills the square.
    #[default]
    Cover,
    /// The whole part lies in the middle of the square, between two bars. The bars are transparent in PNG and white in
    /// JPEG.
    Contain,
}

impl CropFit {
    /// The name in requests and in the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cover => "cover",
            Self::Contain => "contain",
        }
    }
}

impl FromStr for CropFit {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        let fits = [Self::Cover, Self::Contain];
        fits.into_iter().find(|fit| fit.as_str() == text).ok_or_else(|| UnknownValue(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_are_stored_in_this_text() {
        let part = CropPart { space: CropSpace::Square, x: 1, y: 2, w: 3, h: 4 };
        for (crop, text) in [
            (Crop::default(), r#"{"rotate":0,"fit":"cover"}"#),
            (
                Crop { part: Some(part), ..Crop::default() },
                r#"{"part":{"space":"square","x":1,"y":2,"w":3,"h":4},"rotate":0,"fit":"cover"}"#,
            ),
            (
                Crop {
                    part: Some(CropPart { space: CropSpace::Picture, ..part }),
                    rotate: Rotation::Deg270,
                    fit: CropFit::Contain,
                },
                r#"{"part":{"space":"picture","x":1,"y":2,"w":3,"h":4},"rotate":270,"fit":"contain"}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&crop).unwrap(), text);
            assert_eq!(serde_json::from_str::<Crop>(text).unwrap(), crop);
        }
        assert!(serde_json::from_str::<Crop>(r#"{"rotate":45,"fit":"cover"}"#).is_err());
    }

    #[test]
    fn the_fields_of_a_form_are_read_as_they_are_written() {
        for space in [CropSpace::Square, CropSpace::Picture] {
            assert_eq!(space.as_str().parse(), Ok(space));
        }
        for fit in [CropFit::Cover, CropFit::Contain] {
            assert_eq!(fit.as_str().parse(), Ok(fit));
        }
        assert!("Square".parse::<CropSpace>().is_err() && "fill".parse::<CropFit>().is_err());
    }
}
