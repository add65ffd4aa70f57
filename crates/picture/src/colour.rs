//! Converts the colours of a file to sRGB with 8 bits per sample.
//!
//! The conversion runs on each output after resizing. Its input has the colour space of the file.
//! Its result is sRGB in the form that the encoder takes. A profile that belongs to another colour
//! model is ignored, because every viewer does the same.

use std::borrow::Cow;
use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

use crate::black_point::{self, Compensation};
use crate::raster::{Colour, Plane, Raster};

/// How many pixels of ink are converted at a time.
const INK_PIXELS: usize = 4096;

/// The conversion of one picture's samples to sRGB.
pub(crate) struct ColourTransform {
    /// The transform, the colour type of its result, and the compensation to apply to the result.
    transform: Option<(Arc<Transform8BitExecutor>, Colour, Option<Compensation>)>,
}

impl ColourTransform {
    /// Returns the conversion for samples of `colour` under `profile`.
    pub(crate) fn new(profile: Option<&ColorProfile>, colour: Colour) -> Self {
        let transform = profile.and_then(|profile| {
            let (from, to, result) = match (profile.color_space, colour) {
                (DataColorSpace::Rgb, Colour::Rgb | Colour::YCbCr) => (Layout::Rgb, Layout::Rgb, Colour::Rgb),
                (DataColorSpace::Rgb, Colour::Rgba) => (Layout::Rgba, Layout::Rgba, Colour::Rgba),
                (DataColorSpace::Gray, Colour::Gray) => (Layout::Gray, Layout::Rgb, Colour::Rgb),
                (DataColorSpace::Gray, Colour::GrayAlpha) => (Layout::GrayAlpha, Layout::Rgba, Colour::Rgba),
                (DataColorSpace::Cmyk, Colour::Cmyk) => (Layout::Rgba, Layout::Rgb, Colour::Rgb),
                _ => return None,
            };
            let srgb = ColorProfile::new_srgb();
            let transform = profile.create_transform_8bit(from, &srgb, to, TransformOptions::default()).ok()?;
            let compensation = black_point::compensation(profile, from, &srgb);
            let is_identity = compensation.is_none() && is_identity_transform(&*transform, from, to);
            (!is_identity).then_some((transform, result, compensation))
        });
        Self { transform }
    }

    /// Whether samples stay as they are, so that planes of luma and chroma may go to the JPEG encoder unchanged.
    pub(crate) fn is_identity(&self) -> bool {
        self.transform.is_none()
    }

    /// Converts `raster` to sRGB in one plane: gray or RGB, each with or without alpha.
    pub(crate) fn apply<'a>(&self, raster: Cow<'a, Raster>) -> Cow<'a, Raster> {
        let raster = match raster.colour {
            Colour::YCbCr => Cow::Owned(rgb_from_ycbcr(&raster)),
            _ => Raster::compact(raster),
        };
        // The lengths always fit, so a transform does not fail. If it did, the profile would be ignored.
        match self.converted(&raster) {
            Some(converted) => Cow::Owned(converted),
            None if raster.colour == Colour::Cmyk => Cow::Owned(rgb_from_cmyk(&raster)),
            None => raster,
        }
    }

    /// The samples of `raster`, which has one plane, in sRGB. None if there is no transform, or if it fails.
    fn converted(&self, raster: &Raster) -> Option<Raster> {
        let (transform, result, compensation) = self.transform.as_ref()?;
        let plane = raster.plane()?;
        let (from, to) = (raster.colour.channels(), result.channels());
        let mut samples = vec![0; plane.samples.len() / from * to];
        if raster.colour == Colour::Cmyk {
            // In a profile 255 means full ink, but in Adobe's files 255 means no ink. So the samples are inverted.
            let mut inverted = Vec::with_capacity(INK_PIXELS * from);
            for (inks, out) in plane.samples.chunks(INK_PIXELS * from).zip(samples.chunks_mut(INK_PIXELS * to)) {
                inverted.clear();
                inverted.extend(inks.iter().map(|ink| 255 - ink));
                transform.transform(&inverted, out).ok()?;
            }
        } else {
            transform.transform(&plane.samples, &mut samples).ok()?;
        }
        if let Some(compensation) = compensation {
            for pixel in samples.chunks_exact_mut(to) {
                for (sample, channel) in pixel.iter_mut().zip(compensation) {
                    *sample = channel[usize::from(*sample)];
                }
            }
        }
        let Plane { stride, width, height, extent, .. } = *plane;
        let plane = Plane { samples, stride, width, height, extent };
        Some(Raster { width: raster.width, height: raster.height, colour: *result, planes: vec![plane] })
    }
}

/// Whether a transform leaves a grid of colours unchanged. If it does, the profile is sRGB under
/// one of its many names.
fn is_identity_transform(transform: &Transform8BitExecutor, from: Layout, to: Layout) -> bool {
    if (from, to) != (Layout::Rgb, Layout::Rgb) && (from, to) != (Layout::Rgba, Layout::Rgba) {
        return false;
    }
    let step = |i: usize| [0u8, 32, 64, 128, 192, 255][i];
    let grid: Vec<u8> = (0..216)
        .flat_map(|i| {
            let colour = [step(i / 36), step(i / 6 % 6), step(i % 6), 255];
            colour.into_iter().take(if from == Layout::Rgba { 4 } else { 3 })
        })
        .collect();
    let mut out = vec![0; grid.len()];
    transform.transform(&grid, &mut out).is_ok() && grid.iter().zip(&out).all(|(a, b)| a.abs_diff(*b) <= 2)
}

/// Converts one pixel. Rule: JFIF 1.02, "Conversion to and from RGB".
#[inline(always)]
pub(crate) fn ycbcr_pixel_to_rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y) << 16, i32::from(cb) - 128, i32::from(cr) - 128);
    let clamp = |v: i32| ((v + (1 << 15)) >> 16).clamp(0, 255) as u8;
    [clamp(y + 91_881 * cr), clamp(y - 22_554 * cb - 46_802 * cr), clamp(y + 116_130 * cb)]
}

/// Converts YCbCr to RGB. Chroma must be as large as luma.
fn rgb_from_ycbcr(raster: &Raster) -> Raster {
    let mut samples = Vec::with_capacity(raster.width as usize * raster.height as usize * 3);
    if let [y, cb, cr] = &raster.planes[..] {
        for ((y, cb), cr) in y.rows(1).zip(cb.rows(1)).zip(cr.rows(1)) {
            for ((y, cb), cr) in y.iter().zip(cb).zip(cr) {
                let (y, cb, cr) = (i32::from(*y) << 16, i32::from(*cb) - 128, i32::from(*cr) - 128);
                let clamp = |v: i32| ((v + (1 << 15)) >> 16).clamp(0, 255) as u8;
                samples.extend([clamp(y + 91_881 * cr), clamp(y - 22_554 * cb - 46_802 * cr), clamp(y + 116_130 * cb)]);
            }
        }
    }
    Raster::packed(raster.width, raster.height, Colour::Rgb, samples)
}

/// Converts CMYK to RGB without a profile, assuming only that ink blocks light.
fn rgb_from_cmyk(raster: &Raster) -> Raster {
    let pixels = raster.plane().map(|plane| plane.samples.as_chunks::<4>().0).unwrap_or_default();
    let samples = pixels
        .iter()
        .flat_map(|&[c, m, y, k]| [c, m, y].map(|ink| ((u16::from(ink) * u16::from(k) + 127) / 255) as u8))
        .collect();
    Raster::packed(raster.width, raster.height, Colour::Rgb, samples)
}

/// Removes transparency by laying `raster` on white. `raster` must be a result of
/// [`ColourTransform::apply`].
pub(crate) fn flatten(raster: Cow<'_, Raster>) -> Cow<'_, Raster> {
    let on_white = |value: u8, alpha: u8| {
        let (value, alpha) = (u16::from(value), u16::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let Some(plane) = raster.plane() else { return raster };
    let (colour, samples) = match raster.colour {
        Colour::GrayAlpha => {
            (Colour::Gray, plane.samples.as_chunks::<2>().0.iter().map(|&[v, a]| on_white(v, a)).collect())
        }
        Colour::Rgba => {
            let pixels = plane.samples.as_chunks::<4>().0.iter();
            (Colour::Rgb, pixels.flat_map(|&[r, g, b, a]| [on_white(r, a), on_white(g, a), on_white(b, a)]).collect())
        }
        _ => return raster,
    };
    Cow::Owned(Raster::packed(raster.width, raster.height, colour, samples))
}

/// Halves the chroma planes of a raster whose chroma is as large as its luma: each new sample is the mean of four.
pub(crate) fn subsample_chroma(raster: &Raster) -> Raster {
    let half = |plane: &Plane| {
        let (width, height) = (plane.width.div_ceil(2), plane.height.div_ceil(2));
        let rows: Vec<&[u8]> = plane.rows(1).collect();
        let mut samples = Vec::with_capacity(width * height);
        for pair in rows.chunks(2) {
            // Odd edges repeat their last row or column.
            let (upper, lower) = (pair[0], pair[pair.len() - 1]);
            samples.extend(upper.chunks(2).zip(lower.chunks(2)).map(|(upper, lower)| {
                let sum = |two: &[u8]| u16::from(two[0]) + u16::from(two[two.len() - 1]);
                ((sum(upper) + sum(lower) + 2) / 4) as u8
            }));
        }
        Plane::packed(samples, width, height)
    };
    let planes = raster.planes.iter().enumerate().map(|(i, plane)| if i == 0 { plane.clone() } else { half(plane) });
    Raster { width: raster.width, height: raster.height, colour: raster.colour, planes: planes.collect() }
}

/// Computes both chroma samples of four pixels from their sums.
#[inline(always)]
fn mean_chroma(r: i32, g: i32, b: i32) -> [u8; 2] {
    // The weights are scaled by 2^16 and the sums are of four pixels; half a step is added for rounding.
    let scaled = |v: i32| ((v + (128 << 18) + (1 << 17)) >> 18).clamp(0, 255) as u8;
    [scaled(-11_059 * r - 21_709 * g + 32_768 * b), scaled(32_768 * r - 27_439 * g - 5_329 * b)]
}

/// Converts RGB to the JPEG encoder's form: luma at full size, chroma at half, each chroma sample the mean of four
/// pixels.
pub(crate) fn ycbcr_from_rgb(raster: &Raster) -> Raster {
    let (width, height) = (raster.width as usize, raster.height as usize);
    let pixels = raster.plane().map(|plane| plane.samples.as_chunks::<3>().0).unwrap_or_default();
    let luma = pixels
        .iter()
        .map(|&[r, g, b]| {
            ((19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b) + (1 << 15)) >> 16) as u8
        })
        .collect();
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let mut blue = Vec::with_capacity(half_width * half_height);
    let mut red = Vec::with_capacity(half_width * half_height);
    for rows in pixels.chunks(2 * width.max(1)) {
        let (upper, lower) = rows.split_at(width.min(rows.len()));
        // Odd edges repeat their last row or column.
        let lower = if lower.is_empty() { upper } else { lower };
        let ((upper, upper_rest), (lower, lower_rest)) = (upper.as_chunks::<2>(), lower.as_chunks::<2>());
        for (&[a, b], &[c, d]) in upper.iter().zip(lower) {
            let sum = |i: usize| i32::from(a[i]) + i32::from(b[i]) + i32::from(c[i]) + i32::from(d[i]);
            let [cb, cr] = mean_chroma(sum(0), sum(1), sum(2));
            blue.push(cb);
            red.push(cr);
        }
        if let ([a], [c]) = (upper_rest, lower_rest) {
            let sum = |i: usize| 2 * (i32::from(a[i]) + i32::from(c[i]));
            let [cb, cr] = mean_chroma(sum(0), sum(1), sum(2));
            blue.push(cb);
            red.push(cr);
        }
    }
    let half = |samples| {
        let mut plane = Plane::packed(samples, half_width, half_height);
        plane.extent = (width as f64 / 2.0, height as f64 / 2.0);
        plane
    };
    let planes = vec![Plane::packed(luma, width, height), half(blue), half(red)];
    Raster { width: raster.width, height: raster.height, colour: Colour::YCbCr, planes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rgb_survives_the_way_to_ycbcr_and_back() {
        let colours = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [12, 200, 99]];
        for colour in colours {
            let planar = ycbcr_from_rgb(&Raster::packed(1, 1, Colour::Rgb, colour.to_vec()));
            let back = rgb_from_ycbcr(&planar);
            for (a, b) in colour.iter().zip(&back.planes[0].samples) {
                assert!(a.abs_diff(*b) <= 2, "{colour:?} {:?}", back.planes[0].samples);
            }
        }
    }

    #[test]
    fn transparency_is_laid_on_white() {
        let flat = flatten(Cow::Owned(Raster::packed(2, 1, Colour::Rgba, vec![0, 0, 0, 0, 10, 20, 30, 255])));
        assert_eq!((flat.colour, &flat.planes[0].samples[..]), (Colour::Rgb, &[255, 255, 255, 10, 20, 30][..]));
        let flat = flatten(Cow::Owned(Raster::packed(1, 1, Colour::GrayAlpha, vec![0, 128])));
        assert_eq!((flat.colour, &flat.planes[0].samples[..]), (Colour::Gray, &[127][..]));
    }

    struct FailingTransform;

    impl moxcms::TransformExecutor<u8> for FailingTransform {
        fn transform(&self, _: &[u8], _: &mut [u8]) -> Result<(), moxcms::CmsError> {
            Err(moxcms::CmsError::LaneSizeMismatch)
        }
    }

    #[test]
    fn a_profile_whose_transform_fails_is_ignored() {
        let failing = ColourTransform { transform: Some((Arc::new(FailingTransform), Colour::Rgb, None)) };
        let without_profile = ColourTransform::new(None, Colour::Cmyk);
        for colour in [Colour::Cmyk, Colour::Rgb, Colour::Gray] {
            let raster = Raster::packed(2, 1, colour, (0..2 * colour.channels()).map(|i| 25 * i as u8).collect());
            let converted = failing.apply(Cow::Borrowed(&raster));
            let expected = without_profile.apply(Cow::Borrowed(&raster));
            assert_eq!(converted.colour, expected.colour, "{colour:?}");
            assert_eq!(converted.planes[0].samples, expected.planes[0].samples, "{colour:?}");
        }
    }

    #[test]
    fn display_p3_is_converted_and_srgb_left_alone() {
        let p3 = ColorProfile::new_display_p3();
        let correction = ColourTransform::new(Some(&p3), Colour::Rgb);
        let red = correction.apply(Cow::Owned(Raster::packed(1, 1, Colour::Rgb, vec![200, 80, 80])));
        // The exact values, by the matrices of both colour spaces, are 216, 69 and 75.
        for (value, wanted) in red.planes[0].samples.iter().zip([215u8, 72, 77]) {
            assert!(value.abs_diff(wanted) <= 5, "{:?}", red.planes[0].samples);
        }
        let srgb = ColorProfile::new_srgb();
        assert!(ColourTransform::new(Some(&srgb), Colour::Rgb).is_identity());
        assert!(ColourTransform::new(Some(&p3), Colour::Gray).is_identity(), "a profile of another colour model");
    }
}
