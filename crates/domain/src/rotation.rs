//! Quarter turns of a picture.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::unknown_value::UnknownValue;

/// A clockwise turn by a multiple of 90 degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u16", try_from = "u16")]
pub enum Rotation {
    /// No turn.
    #[default]
    Deg0,
    /// The upper edge becomes the right edge.
    Deg90,
    /// The upper edge becomes the lower edge.
    Deg180,
    /// The upper edge becomes the left edge.
    Deg270,
}

impl Rotation {
    /// All four, by their angle.
    pub const ALL: [Self; 4] = [Self::Deg0, Self::Deg90, Self::Deg180, Self::Deg270];

    /// The angle in degrees.
    pub fn degrees(self) -> u16 {
        match self {
            Self::Deg0 => 0,
            Self::Deg90 => 90,
            Self::Deg180 => 180,
            Self::Deg270 => 270,
        }
    }

    /// Converts width and height of a picture to those of the turned picture.
    pub fn turned_size(self, (width, height): (u32, u32)) -> (u32, u32) {
        match self {
            Self::Deg0 | Self::Deg180 => (width, height),
            Self::Deg90 | Self::Deg270 => (height, width),
        }
    }
}

impl From<Rotation> for u16 {
    fn from(rotation: Rotation) -> Self {
        rotation.degrees()
    }
}

impl TryFrom<u16> for Rotation {
    type Error = UnknownValue;

    fn try_from(degrees: u16) -> Result<Self, UnknownValue> {
        let found = Self::ALL.into_iter().find(|rotation| rotation.degrees() == degrees);
        found.ok_or_else(|| UnknownValue(degrees.to_string()))
    }
}

impl FromStr for Rotation {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        let found = Self::ALL.into_iter().find(|rotation| rotation.degrees().to_string() == text);
        found.ok_or_else(|| UnknownValue(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_reads_as_it_is_written() {
        for rotation in Rotation::ALL {
            assert_eq!(rotation.degrees().to_string().parse(), Ok(rotation));
            assert_eq!(serde_json::to_string(&rotation).unwrap(), rotation.degrees().to_string());
        }
        for text in ["", "45", "360", "-90", "+90", "090", "90.0"] {
            assert!(text.parse::<Rotation>().is_err(), "{text:?}");
        }
    }
}
