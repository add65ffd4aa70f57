//! The geometry of a plan: which part of the stored picture becomes which output, and how large.
//!
//! Called by `Probe::memory_estimate` for the estimate and by `render` for the work, so that both
//! use the same geometry.

use crate::orientation::Orientation;
use crate::plan::{OutputFormat, Region, RenderPlan, Shape};

/// How many source pixels per output pixel are needed along one axis. Below this, the result is visibly softer than one
/// from the full picture (at 1.0 by three points of ssimulacra2). Above it, the difference is not visible.
pub(crate) const MIN_OVERSAMPLING: f64 = 1.4;

/// A rectangle in fractional pixels of the stored picture, before orientation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SourceRect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl SourceRect {
    pub(crate) fn contains(&self, other: &Self) -> bool {
        const EPSILON: f64 = 1e-6;
        self.x <= other.x + EPSILON
            && self.y <= other.y + EPSILON
            && self.x + self.width + EPSILON >= other.x + other.width
            && self.y + self.height + EPSILON >= other.y + other.height
    }
}

/// One output, described relative to the stored picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OutputTarget {
    pub(crate) source_rect: SourceRect,
    /// The size of the picture in the output, before the orientation is applied.
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The size of the output after the orientation is applied, with bars.
    pub(crate) canvas: (u32, u32),
    pub(crate) format: OutputFormat,
}

impl OutputTarget {
    /// Pixels of the stored picture per pixel of the output, along the tighter axis.
    pub(crate) fn reduction(&self) -> f64 {
        (self.source_rect.width / f64::from(self.width)).min(self.source_rect.height / f64::from(self.height))
    }

    /// Pixels of the picture, without bars.
    pub(crate) fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Pixels of the output, with bars.
    pub(crate) fn canvas_pixels(&self) -> u64 {
        u64::from(self.canvas.0) * u64::from(self.canvas.1)
    }
}

/// Returns the outputs of `plan` for a stored picture of `size`, in the plan's order. `orientation` includes the rotation
/// of the plan.
pub(crate) fn output_targets(plan: &RenderPlan, size: (u32, u32), orientation: Orientation) -> Vec<OutputTarget> {
    let (width, height) = orientation.oriented_size(size);
    let seen = clamp_crop(plan.crop, width, height);
    let stored_size = (f64::from(size.0), f64::from(size.1));
    plan.outputs
        .iter()
        .map(|output| {
            let square = |side: u32| (side.max(1), side.max(1));
            let (part, size, canvas) = match output.shape {
                Shape::Full => (full_rect(seen), (seen.width, seen.height), None),
                Shape::Inside(side) => (full_rect(seen), fit_inside(side, seen.width, seen.height), None),
                Shape::Square(side) => (centre_square(seen), square(side), None),
                Shape::Letterboxed(side) => {
                    (full_rect(seen), fit_exactly(side.max(1), seen.width, seen.height), Some(square(side)))
                }
            };
            let (x, y, w, h) = orientation.to_stored_rect(part, stored_size);
            let (width, height) = orientation.oriented_size(size);
            OutputTarget {
                source_rect: SourceRect { x, y, width: w, height: h },
                width,
                height,
                canvas: canvas.unwrap_or(size),
                format: output.format,
            }
        })
        .collect()
}

fn clamp_crop(crop: Option<Region>, width: u32, height: u32) -> Region {
    let all = Region { x: 0, y: 0, width, height };
    let Some(crop) = crop else { return all };
    let x = crop.x.min(width.saturating_sub(1));
    let y = crop.y.min(height.saturating_sub(1));
    Region { x, y, width: crop.width.clamp(1, (width - x).max(1)), height: crop.height.clamp(1, (height - y).max(1)) }
}

fn full_rect(region: Region) -> (f64, f64, f64, f64) {
    (f64::from(region.x), f64::from(region.y), f64::from(region.width), f64::from(region.height))
}

fn centre_square(region: Region) -> (f64, f64, f64, f64) {
    let (x, y, width, height) = full_rect(region);
    let side = width.min(height);
    (x + (width - side) / 2.0, y + (height - side) / 2.0, side, side)
}

fn fit_inside(side: u32, width: u32, height: u32) -> (u32, u32) {
    if side >= width.max(height) { (width, height) } else { fit_exactly(side, width, height) }
}

/// Scales a size so that its longer side is `side`.
fn fit_exactly(side: u32, width: u32, height: u32) -> (u32, u32) {
    let scale = f64::from(side) / f64::from(width.max(height).max(1));
    let scaled = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::OutputSpec;

    fn target(shape: Shape, crop: Option<Region>, size: (u32, u32), orientation: Orientation) -> OutputTarget {
        output_targets(
            &RenderPlan {
                crop,
                outputs: vec![OutputSpec { shape, format: OutputFormat::Auto }],
                ..RenderPlan::default()
            },
            size,
            orientation,
        )[0]
    }

    #[test]
    fn each_shape_has_its_size_and_its_part_of_the_picture() {
        let photo = (4032, 3024);
        let fit = target(Shape::Inside(512), None, photo, Orientation::Upright);
        assert_eq!((fit.width, fit.height), (512, 384));
        assert_eq!(fit.source_rect, SourceRect { x: 0.0, y: 0.0, width: 4032.0, height: 3024.0 });
        let fit = target(Shape::Inside(512), None, (30, 20), Orientation::Upright);
        assert_eq!((fit.width, fit.height), (30, 20), "never scaled up");
        let fit = target(Shape::Inside(10), None, (30_000, 1), Orientation::Upright);
        assert_eq!((fit.width, fit.height), (10, 1), "never empty");
        let square = target(Shape::Square(512), None, (30, 21), Orientation::Upright);
        assert_eq!((square.width, square.height), (512, 512), "a square is exact");
        assert_eq!(square.source_rect, SourceRect { x: 4.5, y: 0.0, width: 21.0, height: 21.0 });
    }

    #[test]
    fn a_letterboxed_picture_touches_two_edges() {
        let panorama = target(Shape::Letterboxed(512), None, (3000, 1000), Orientation::Upright);
        assert_eq!((panorama.width, panorama.height, panorama.canvas), (512, 171, (512, 512)));
        assert_eq!(panorama.source_rect, SourceRect { x: 0.0, y: 0.0, width: 3000.0, height: 1000.0 });
        let turned = target(Shape::Letterboxed(512), None, (3000, 1000), Orientation::Rotated90);
        assert_eq!((turned.width, turned.height, turned.canvas), (512, 171, (512, 512)), "stored as before");
        let small = target(Shape::Letterboxed(100), None, (10, 20), Orientation::Upright);
        assert_eq!((small.width, small.height, small.canvas), (50, 100, (100, 100)), "scaled up, as a square is");
        let line = target(Shape::Letterboxed(25), None, (1, 30_000), Orientation::Upright);
        assert_eq!((line.width, line.height), (1, 25), "never empty");
        assert_eq!((line.pixels(), line.canvas_pixels()), (25, 625));
    }

    #[test]
    fn crops_are_clamped_and_turned() {
        let crop = |x, y, width, height| Some(Region { x, y, width, height });
        // The upright picture is 20 wide and 30 high. Its top right corner is stored at the top
        // left.
        let full = target(Shape::Full, crop(15, 0, 99, 10), (30, 20), Orientation::Rotated90);
        assert_eq!((full.width, full.height), (10, 5));
        assert_eq!(full.source_rect, SourceRect { x: 0.0, y: 0.0, width: 10.0, height: 5.0 });
        let gone = target(Shape::Full, crop(u32::MAX, u32::MAX, 0, 0), (30, 20), Orientation::Upright);
        assert_eq!(gone.source_rect, SourceRect { x: 29.0, y: 19.0, width: 1.0, height: 1.0 });
    }
}
