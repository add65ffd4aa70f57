//! The eight EXIF orientations, and turning a picture upright.
//!
//! Turning comes after resizing and works on the small outputs: at 512 pixels it costs almost
//! nothing, at 12 megapixels more than decoding. A requested rectangle is turned the other way
//! instead, onto the stored picture.

use domain::Rotation;

use crate::raster::{Plane, Raster};

/// The orientation of the stored picture, named by the operation that turns it upright.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orientation {
    /// EXIF 1: nothing.
    #[default]
    Upright,
    /// EXIF 2: left and right swapped.
    FlippedHorizontally,
    /// EXIF 3: turned by 180 degrees.
    Rotated180,
    /// EXIF 4: top and bottom swapped.
    FlippedVertically,
    /// EXIF 5: rows become columns.
    Transposed,
    /// EXIF 6: turned right by 90 degrees.
    Rotated90,
    /// EXIF 7: rows become columns, seen from the other corner.
    Transverse,
    /// EXIF 8: turned left by 90 degrees.
    Rotated270,
}

impl Orientation {
    /// Converts the EXIF value, 1 to 8.
    pub(crate) fn from_exif(value: u32) -> Option<Self> {
        Some(match value {
            1 => Self::Upright,
            2 => Self::FlippedHorizontally,
            3 => Self::Rotated180,
            4 => Self::FlippedVertically,
            5 => Self::Transposed,
            6 => Self::Rotated90,
            7 => Self::Transverse,
            8 => Self::Rotated270,
            _ => return None,
        })
    }

    /// The orientation of a stored picture that is turned upright by `self` and then turned by `rotation`. So both turns
    /// cost one pass.
    pub(crate) fn then(self, rotation: Rotation) -> Self {
        match rotation {
            Rotation::Deg0 => self,
            Rotation::Deg90 => self.then_right(),
            Rotation::Deg180 => self.then_right().then_right(),
            Rotation::Deg270 => self.then_right().then_right().then_right(),
        }
    }

    /// `self`, and then a turn right by 90 degrees.
    fn then_right(self) -> Self {
        match self {
            Self::Upright => Self::Rotated90,
            Self::Rotated90 => Self::Rotated180,
            Self::Rotated180 => Self::Rotated270,
            Self::Rotated270 => Self::Upright,
            Self::FlippedHorizontally => Self::Transverse,
            Self::Transverse => Self::FlippedVertically,
            Self::FlippedVertically => Self::Transposed,
            Self::Transposed => Self::FlippedHorizontally,
        }
    }

    /// Whether width and height are swapped.
    pub fn swaps_sides(self) -> bool {
        matches!(self, Self::Transposed | Self::Rotated90 | Self::Transverse | Self::Rotated270)
    }

    /// Whether the stored x runs against the axis it becomes.
    fn reverses_x(self) -> bool {
        matches!(self, Self::FlippedHorizontally | Self::Rotated180 | Self::Transverse | Self::Rotated270)
    }

    /// Whether the stored y runs against the axis it becomes.
    fn reverses_y(self) -> bool {
        matches!(self, Self::Rotated180 | Self::FlippedVertically | Self::Rotated90 | Self::Transverse)
    }

    /// Whether turning a picture of this size upright changes which pixels form pairs, counted from
    /// the top left. If it does, half-size chroma cannot be turned by itself, because it has one
    /// sample for each pair.
    pub(crate) fn splits_chroma_pairs(self, (width, height): (u32, u32)) -> bool {
        self.reverses_x() && width % 2 == 1 || self.reverses_y() && height % 2 == 1
    }

    /// Converts width and height of the stored picture to those of the upright one, or the other way round.
    pub(crate) fn oriented_size<T>(self, (width, height): (T, T)) -> (T, T) {
        if self.swaps_sides() { (height, width) } else { (width, height) }
    }

    /// Converts a rectangle (x, y, width, height) of the upright picture to one of the stored picture, which is
    /// `width` × `height`.
    pub(crate) fn to_stored_rect(
        self,
        seen: (f64, f64, f64, f64),
        (width, height): (f64, f64),
    ) -> (f64, f64, f64, f64) {
        let (x, y, w, h) = if self.swaps_sides() { (seen.1, seen.0, seen.3, seen.2) } else { seen };
        let x = if self.reverses_x() { width - x - w } else { x };
        let y = if self.reverses_y() { height - y - h } else { y };
        (x, y, w, h)
    }

    /// Turns the picture upright.
    pub(crate) fn apply(self, raster: Raster) -> Raster {
        if self == Self::Upright {
            return raster;
        }
        let (width, height) = self.oriented_size((raster.width, raster.height));
        let turn = |plane: &Plane| match raster.colour.channels() {
            1 => self.apply_to_plane::<1>(plane),
            2 => self.apply_to_plane::<2>(plane),
            3 => self.apply_to_plane::<3>(plane),
            _ => self.apply_to_plane::<4>(plane),
        };
        Raster { width, height, colour: raster.colour, planes: raster.planes.iter().map(turn).collect() }
    }

    fn apply_to_plane<const N: usize>(self, plane: &Plane) -> Plane {
        let (width, height) = self.oriented_size((plane.width, plane.height));
        let mut samples = vec![0; width * height * N];
        let from = plane.samples.as_chunks::<N>().0;
        let to = samples.as_chunks_mut::<N>().0;
        if self.swaps_sides() {
            // Strips of sixteen rows use each cache line of the source completely while it is in the cache.
            for (strip, rows) in to.chunks_mut(16 * width.max(1)).enumerate() {
                for x in 0..width {
                    let y = if self.reverses_y() { plane.height - 1 - x } else { x };
                    let source = &from[y * plane.stride..][..plane.width];
                    for (row, line) in rows.chunks_exact_mut(width).enumerate() {
                        let x_in = strip * 16 + row;
                        line[x] = source[if self.reverses_x() { plane.width - 1 - x_in } else { x_in }];
                    }
                }
            }
        } else {
            for (row, line) in to.chunks_exact_mut(width.max(1)).enumerate() {
                let y = if self.reverses_y() { plane.height - 1 - row } else { row };
                line.copy_from_slice(&from[y * plane.stride..][..plane.width]);
                if self.reverses_x() {
                    line.reverse();
                }
            }
        }
        Plane { samples, stride: width, width, height, extent: self.oriented_size(plane.extent) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::Colour;

    /// The figure of EXIF's own specification: `abc/def` upright, stored in the eight ways, each with its width.
    const STORED: [(u32, &str); 8] = [
        (3, "abcdef"),
        (3, "cbafed"),
        (3, "fedcba"),
        (3, "defabc"),
        (2, "adbecf"),
        (2, "cfbead"),
        (2, "fcebda"),
        (2, "daebfc"),
    ];

    #[test]
    fn all_eight_orientations_are_turned_upright() {
        for (value, (width, stored)) in (1..).zip(STORED) {
            let orientation = Orientation::from_exif(value).unwrap();
            let raster = Raster::packed(width, 6 / width, Colour::Gray, stored.as_bytes().to_vec());
            let upright = orientation.apply(raster);
            assert_eq!((upright.width, upright.height), (3, 2));
            assert_eq!(String::from_utf8_lossy(&upright.planes[0].samples), "abcdef", "orientation {value}");
            // Finds `c`, which is at the top right of the upright picture.
            let size = (f64::from(width), f64::from(6 / width));
            let (x, y, w, h) = orientation.to_stored_rect((2.0, 0.0, 1.0, 1.0), size);
            assert_eq!((w, h), (1.0, 1.0));
            assert_eq!(stored.as_bytes()[y as usize * width as usize + x as usize], b'c', "orientation {value}");
        }
        assert_eq!(Orientation::from_exif(0), None);
        assert_eq!(Orientation::from_exif(9), None);
    }

    #[test]
    fn a_rotation_is_one_turn_with_any_orientation() {
        for value in 1..=8 {
            let orientation = Orientation::from_exif(value).unwrap();
            for (rotation, width, turned) in [
                (Rotation::Deg0, 3, "abcdef"),
                (Rotation::Deg90, 2, "daebfc"),
                (Rotation::Deg180, 3, "fedcba"),
                (Rotation::Deg270, 2, "cfbead"),
            ] {
                let stored = STORED[value as usize - 1];
                let raster = Raster::packed(stored.0, 6 / stored.0, Colour::Gray, stored.1.as_bytes().to_vec());
                let made = orientation.then(rotation).apply(raster);
                assert_eq!((made.width, made.height), (width, 6 / width), "orientation {value}, {rotation:?}");
                assert_eq!(
                    String::from_utf8_lossy(&made.planes[0].samples),
                    turned,
                    "orientation {value}, {rotation:?}"
                );
            }
        }
    }
}
