//! Render plans for the picture engine: variant names and a crop become outputs and a region.

use domain::{CROP_SPACE, Crop, CropFit, CropPart, CropSpace, Media, VariantName};
use picture::{OutputFormat, OutputSpec, Region, RenderPlan, Shape};

/// The plan of a fresh upload: the usual squares, in the format that suits the picture.
pub(crate) fn initial() -> RenderPlan {
    let outputs =
        VariantName::STANDARD_SIZES.map(|size| OutputSpec { shape: Shape::Square(size), format: OutputFormat::Auto });
    RenderPlan { outputs: outputs.to_vec(), ..RenderPlan::default() }
}

/// The plan of a thumbnail, in the format that suits the picture.
pub(crate) fn thumbnail() -> RenderPlan {
    let output = OutputSpec { shape: Shape::Inside(VariantName::THUMBNAIL_SIZE), format: OutputFormat::Auto };
    RenderPlan { outputs: vec![output], ..RenderPlan::default() }
}

/// The plan of one variant of a picture whose upright size is `size`.
pub(crate) fn variant(name: VariantName, crop: Crop, size: (u32, u32)) -> RenderPlan {
    let shape = match (name.size(), crop.fit) {
        (None, _) => Shape::Full,
        (Some(side), _) if name.fits() => Shape::Inside(side),
        (Some(side), CropFit::Cover) => Shape::Square(side),
        (Some(side), CropFit::Contain) => Shape::Letterboxed(side),
    };
    let format = if name.media() == Media::Png { OutputFormat::Png } else { OutputFormat::Jpeg };
    let turned_size = crop.rotate.turned_size(size);
    RenderPlan {
        rotation: crop.rotate,
        crop: crop.part.map(|part| crop_region(part, turned_size)),
        outputs: vec![OutputSpec { shape, format }],
    }
}

/// Converts the part into pixels of the turned picture, whose size is given.
fn crop_region(part: CropPart, size: (u32, u32)) -> Region {
    match part.space {
        CropSpace::Square => square_region(part, size),
        CropSpace::Picture => Region { x: part.x, y: part.y, width: part.w, height: part.h },
    }
}

/// Converts a part of the centre square (`docs/contracts/dropbox.md`, 4.1).
fn square_region(part: CropPart, (width, height): (u32, u32)) -> Region {
    let side = width.min(height);
    let scale = f64::from(side) / f64::from(CROP_SPACE);
    let (left, top) = ((width - side) / 2, (height - side) / 2);
    // Both ends are rounded. One rounded end with a rounded length could reach out of the square, to pixels that the
    // client was never shown.
    let pixels = |from: u32, length: u32| {
        let pixel = |at: u32| (f64::from(at) * scale).round() as u32;
        let start = pixel(from).min(side.saturating_sub(1));
        (start, pixel(from + length).clamp(start + 1, side.max(start + 1)) - start)
    };
    let ((x, width), (y, height)) = (pixels(part.x, part.w), pixels(part.y, part.h));
    Region { x: left + x, y: top + y, width, height }
}

#[cfg(test)]
mod tests {
    use domain::Rotation;

    use super::*;

    fn region(space: CropSpace, [x, y, w, h]: [u32; 4], size: (u32, u32)) -> [u32; 4] {
        let Region { x, y, width, height } = crop_region(CropPart { space, x, y, w, h }, size);
        [x, y, width, height]
    }

    #[test]
    fn a_crop_lies_in_the_centre_square() {
        let region = |numbers, size| region(CropSpace::Square, numbers, size);
        assert_eq!(region([0, 0, 512, 512], (4000, 3000)), [500, 0, 3000, 3000]);
        assert_eq!(region([256, 256, 256, 256], (100, 200)), [50, 100, 50, 50]);
        assert_eq!(region([0, 300, 512, 212], (1, 3)), [0, 1, 1, 1], "what lies below the square was not shown");
        assert_eq!(region([0, 500, 12, 12], (10, 20)), [0, 14, 1, 1]);
        assert_eq!(region([0, 0, 1, 1], (10, 10))[2..], [1, 1], "a crop is never empty");
    }

    #[test]
    fn a_crop_in_pixels_of_the_picture_stays_as_it_is() {
        assert_eq!(region(CropSpace::Picture, [3999, 1, 1, 2], (4000, 3000)), [3999, 1, 1, 2]);
    }

    #[test]
    fn a_crop_is_of_the_turned_picture() {
        let part = CropPart { space: CropSpace::Square, x: 0, y: 0, w: 256, h: 512 };
        let crop = Crop { part: Some(part), rotate: Rotation::Deg90, fit: CropFit::Contain };
        let name = |name: &str| name.parse::<VariantName>().unwrap();
        let plan = variant(name("75.jpg"), crop, (300, 100));
        assert_eq!(plan.rotation, Rotation::Deg90);
        // The turned picture is 100 wide and 300 high.
        assert_eq!(plan.crop, Some(Region { x: 0, y: 100, width: 50, height: 100 }));
        for (text, shape) in
            [("75.jpg", Shape::Letterboxed(75)), ("fit75.png", Shape::Inside(75)), ("full.png", Shape::Full)]
        {
            assert_eq!(variant(name(text), crop, (300, 100)).outputs[0].shape, shape, "{text}");
        }
        let crop = Crop { fit: CropFit::Cover, ..crop };
        assert_eq!(variant(name("75.png"), crop, (300, 100)).outputs[0].shape, Shape::Square(75));
    }
}
