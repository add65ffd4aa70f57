//! Resizes a picture: every size from the nearest larger one.
//!
//! Planes are resized as they are, chroma separately from luma. Colours are converted afterwards, at the size of the
//! output. Alpha is premultiplied around the filter, so that invisible colours do not bleed into edges.

use std::borrow::Cow;

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x2, U8x3, U8x4};
use fast_image_resize::{Filter, FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use crate::cancel::CancelFlag;
use crate::geometry::{MIN_OVERSAMPLING, OutputTarget, SourceRect};
use crate::raster::{Colour, Plane, Raster, allocate};
use crate::rejection::Rejection;

/// The size of the chroma planes of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChromaSize {
    /// Half of the luma's width and height, rounded up, as the JPEG encoder takes it.
    Half,
    /// As large as the luma, as the conversion to RGB takes it.
    Full,
}

/// One size of a picture, from which the next smaller output can be made.
struct ResizeStep {
    source_rect: SourceRect,
    raster: Raster,
}

/// The decoded picture and the sizes made from it.
pub(crate) struct ResizeChain {
    source: ResizeStep,
    steps: Vec<ResizeStep>,
}

impl ResizeChain {
    /// A chain that starts with `source`, the decoded picture.
    pub(crate) fn new(source: Raster) -> Self {
        let window = SourceRect { x: 0.0, y: 0.0, width: f64::from(source.width), height: f64::from(source.height) };
        Self { source: ResizeStep { source_rect: window, raster: source }, steps: Vec::new() }
    }

    pub(crate) fn colour(&self) -> Colour {
        self.source.raster.colour
    }

    /// Makes the picture for `target`. Call it for the largest target first, because each picture
    /// is made from a larger one that exists already.
    pub(crate) fn resize_to(
        &mut self,
        resizer: &mut Resizer,
        target: &OutputTarget,
        chroma: ChromaSize,
        stop: &CancelFlag,
    ) -> Result<Cow<'_, Raster>, Rejection> {
        stop.check()?;
        if self.is_source(target, chroma) {
            return Ok(Cow::Borrowed(&self.source.raster));
        }
        let from = self
            .steps
            .iter()
            .filter(|step| step.covers(target))
            .min_by_key(|step| u64::from(step.raster.width) * u64::from(step.raster.height))
            .unwrap_or(&self.source);
        let raster = from.resize(resizer, target, chroma)?;
        self.steps.push(ResizeStep { source_rect: target.source_rect, raster });
        self.steps
            .last()
            .map(|step| Cow::Borrowed(&step.raster))
            .ok_or_else(|| Rejection::engine_failed("a resized picture is missing"))
    }

    /// Whether `target` is exactly the decoded picture.
    fn is_source(&self, target: &OutputTarget, chroma: ChromaSize) -> bool {
        let source = &self.source;
        if source.source_rect != target.source_rect {
            return false;
        }
        let size = (target.width as usize, target.height as usize);
        source.raster.planes.iter().enumerate().all(|(i, plane)| {
            let wanted = if i == 0 { size } else { chroma.plane_size(size) };
            (plane.width, plane.height) == wanted
        })
    }
}

impl ChromaSize {
    fn plane_size(self, (width, height): (usize, usize)) -> (usize, usize) {
        match self {
            Self::Half => (width.div_ceil(2), height.div_ceil(2)),
            Self::Full => (width, height),
        }
    }
}

impl ResizeStep {
    /// Whether `target` can be made from this size without loss.
    fn covers(&self, target: &OutputTarget) -> bool {
        let wide = f64::from(self.raster.width) * target.source_rect.width / self.source_rect.width;
        let high = f64::from(self.raster.height) * target.source_rect.height / self.source_rect.height;
        self.source_rect.contains(&target.source_rect)
            && wide >= MIN_OVERSAMPLING * f64::from(target.width)
            && high >= MIN_OVERSAMPLING * f64::from(target.height)
    }

    fn resize(&self, resizer: &mut Resizer, target: &OutputTarget, chroma: ChromaSize) -> Result<Raster, Rejection> {
        let colour = self.raster.colour;
        // As fractions of the whole, so that they apply to planes of every size.
        let x = (target.source_rect.x - self.source_rect.x) / self.source_rect.width;
        let y = (target.source_rect.y - self.source_rect.y) / self.source_rect.height;
        let w = target.source_rect.width / self.source_rect.width;
        let h = target.source_rect.height / self.source_rect.height;
        let luma = (target.width as usize, target.height as usize);
        let mut planes = Vec::with_capacity(self.raster.planes.len());
        for (i, plane) in self.raster.planes.iter().enumerate() {
            let size = if i == 0 { luma } else { chroma.plane_size(luma) };
            // The part of the result that the picture covers: for odd sizes half a chroma sample less than the whole.
            let extent = match (i, chroma) {
                (1.., ChromaSize::Half) => (luma.0 as f64 / 2.0, luma.1 as f64 / 2.0),
                _ => (size.0 as f64, size.1 as f64),
            };
            let over = (size.0 as f64 / extent.0, size.1 as f64 / extent.1);
            let from = SourceRect {
                x: x * plane.extent.0,
                y: y * plane.extent.1,
                width: w * plane.extent.0 * over.0,
                height: h * plane.extent.1 * over.1,
            };
            let samples = resize_plane(resizer, plane, colour, from, size)?;
            planes.push(Plane { samples, stride: size.0, width: size.0, height: size.1, extent });
        }
        Ok(Raster { width: target.width, height: target.height, colour, planes })
    }
}

/// Scales the part `from` of `plane` to `size` with Lanczos 3.
fn resize_plane(
    resizer: &mut Resizer,
    plane: &Plane,
    colour: Colour,
    from: SourceRect,
    size: (usize, usize),
) -> Result<Vec<u8>, Rejection> {
    // At the far edges a fraction of a sample may be missing, never more than half a sample.
    const MIN_CROP_SIDE: f64 = 1.0 / 64.0;
    let (w, h) = (plane.width as f64, plane.height as f64);
    let x = from.x.clamp(0.0, (w - MIN_CROP_SIDE).max(0.0));
    let y = from.y.clamp(0.0, (h - MIN_CROP_SIDE).max(0.0));
    let filter = Filter::new("Lanczos3", lanczos, 3.0).map_or(FilterType::Lanczos3, FilterType::Custom);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .crop(x, y, from.width.clamp(MIN_CROP_SIDE, w - x), from.height.clamp(MIN_CROP_SIDE, h - y))
        .use_alpha(colour.has_alpha());
    let mut to = allocate(size.0 * size.1 * colour.channels())?;
    let done = match colour.channels() {
        1 => convolve::<U8>(resizer, plane, &mut to, size, &options),
        2 => convolve::<U8x2>(resizer, plane, &mut to, size, &options),
        3 => convolve::<U8x3>(resizer, plane, &mut to, size, &options),
        _ => convolve::<U8x4>(resizer, plane, &mut to, size, &options),
    };
    done.map(|()| to).ok_or_else(|| Rejection::engine_failed("a plane could not be resized"))
}

/// The filter's weight at `x` samples from its centre: sinc(x) · sinc(x / 3). One sine serves both
/// factors, because sin 3a = 3 sin a − 4 sin³ a. The cost of a weight matters, because in a small
/// picture each weight is used for a few rows only.
fn lanczos(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    if x.abs() >= 3.0 {
        return 0.0;
    }
    let third = std::f64::consts::FRAC_PI_3 * x;
    let square = third.sin().powi(2);
    square * (3.0 - 4.0 * square) / (3.0 * third * third)
}

/// Resizes with an explicit pixel type, to save compile time. If the type were found out at run time, the resizer would
/// be compiled for eleven pixel types that never occur. That takes longer than compiling the rest of the program.
fn convolve<P: PixelTrait>(
    resizer: &mut Resizer,
    plane: &Plane,
    to: &mut [u8],
    size: (usize, usize),
    options: &ResizeOptions,
) -> Option<()> {
    let rows = plane.samples.len() / (plane.stride * P::size()).max(1);
    let all = TypedImageRef::<P>::from_buffer(plane.stride as u32, rows as u32, &plane.samples).ok()?;
    let source = TypedCroppedImage::from_ref(&all, 0, 0, plane.width as u32, plane.height as u32).ok()?;
    let mut to = TypedImage::<P>::from_buffer(size.0 as u32, size.1 as u32, to).ok()?;
    resizer.resize_typed(&source, &mut to, options).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::OutputFormat;

    fn target(x: f64, width: f64, to: u32) -> OutputTarget {
        OutputTarget {
            source_rect: SourceRect { x, y: 0.0, width, height: 64.0 },
            width: to,
            height: to,
            canvas: (to, to),
            format: OutputFormat::Png,
        }
    }

    #[test]
    fn invisible_colours_do_not_bleed() {
        // Left half opaque white, right half invisible black.
        let row: Vec<u8> = [[255; 4]; 32].into_iter().chain([[0; 4]; 32]).flatten().collect();
        let source = Raster::packed(64, 64, Colour::Rgba, row.repeat(64));
        let mut chain = ResizeChain::new(source);
        let small = chain
            .resize_to(&mut Resizer::new(), &target(0.0, 64.0, 9), ChromaSize::Half, &CancelFlag::new())
            .unwrap()
            .into_owned();
        for pixel in small.planes[0].samples.as_chunks::<4>().0 {
            assert!(pixel[3] == 0 || pixel[..3] == [255; 3], "{pixel:?}");
        }
    }

    #[test]
    fn the_nearest_larger_size_is_the_next_source() {
        let source = Raster::packed(64, 64, Colour::Gray, vec![9; 64 * 64]);
        let mut chain = ResizeChain::new(source);
        let mut resizer = Resizer::new();
        for (window, to, steps) in [(64.0, 64, 0), (64.0, 32, 1), (64.0, 16, 2), (32.0, 10, 3)] {
            chain.resize_to(&mut resizer, &target(0.0, window, to), ChromaSize::Half, &CancelFlag::new()).unwrap();
            assert_eq!(chain.steps.len(), steps);
        }
        assert!(chain.steps[1].covers(&target(0.0, 64.0, 11)));
        assert!(!chain.steps[1].covers(&target(0.0, 64.0, 12)));
        assert!(!chain.steps[2].covers(&target(32.0, 32.0, 1)), "another part of the picture");
    }
}
