//! Render plans for the picture engine: variant names and a crop become outputs and a region.

use domain::{CROP_SPACE, Crop, Media, VariantName};
use picture::{OutputFormat, OutputSpec, Region, RenderPlan, Shape};

/// The plan of a fresh upload: the usual squares, in the format that suits the picture.
pub(crate) fn initial() -> RenderPlan {
    let outputs =
        VariantName::STANDARD_SIZES.map(|size| OutputSpec { shape: Shape::Square(size), format: OutputFormat::Auto });
    RenderPlan { outputs: outputs.to_vec(), ..RenderPlan::default() }
}

/// The side of the square into which the thumbnail of a file or a rendition fits.
pub(crate) const THUMBNAIL_SIDE: u32 = 256;

/// The plan of a thumbnail, in the format that suits the picture.
pub(crate) fn thumbnail() -> RenderPlan {
    let output = OutputSpec { shape: Shape::Inside(THUMBNAIL_SIDE), format: OutputFormat::Auto };
    RenderPlan { outputs: vec![output], ..RenderPlan::default() }
}

/// The plan of one variant of a picture of `width` × `height` pixels.
pub(crate) fn variant(name: VariantName, crop: Option<Crop>, width: u32, height: u32) -> RenderPlan {
    let shape = name.size().map_or(Shape::Full, if name.fits() { Shape::Inside } else { Shape::Square });
    let format = if name.media() == Media::Png { OutputFormat::Png } else { OutputFormat::Jpeg };
    RenderPlan {
        crop: crop.map(|crop| crop_region(crop, width, height)),
        outputs: vec![OutputSpec { shape, format }],
        ..RenderPlan::default()
    }
}

/// Converts a crop into pixels of the whole picture. A crop is given in the space of `?size=512`, which shows the
/// centre square of the picture (`docs/contracts/dropbox.md`, 4.1).
fn crop_region(crop: Crop, width: u32, height: u32) -> Region {
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
    let ((x, width), (y, height)) = (pixels(crop.x, crop.w), pixels(crop.y, crop.h));
    Region { x: left + x, y: top + y, width, height }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_lies_in_the_centre_square() {
        let whole = Crop { x: 0, y: 0, w: 512, h: 512 };
        let Region { x, y, width, height } = crop_region(whole, 4000, 3000);
        assert_eq!((x, y, width, height), (500, 0, 3000, 3000));
        let corner = Crop { x: 256, y: 256, w: 256, h: 256 };
        let Region { x, y, width, height } = crop_region(corner, 100, 200);
        assert_eq!((x, y, width, height), (50, 100, 50, 50));
        let Region { x, y, width, height } = crop_region(Crop { x: 0, y: 300, w: 512, h: 212 }, 1, 3);
        assert_eq!((x, y, width, height), (0, 1, 1, 1), "what lies below the square was not shown");
        let Region { x, y, width, height } = crop_region(Crop { x: 0, y: 500, w: 12, h: 12 }, 10, 20);
        assert_eq!((x, y, width, height), (0, 14, 1, 1));
        let Region { width, height, .. } = crop_region(Crop { x: 0, y: 0, w: 1, h: 1 }, 10, 10);
        assert_eq!((width, height), (1, 1), "a crop is never empty");
    }
}
