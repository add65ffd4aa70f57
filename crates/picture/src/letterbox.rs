//! Adds bars to a picture, so that it becomes a square without losing a part.
//!
//! It is the last step before encoding, because a bar is white in JPEG and transparent in PNG, and because the steps
//! before it then work on the picture alone.

use std::borrow::Cow;

use crate::raster::{Colour, Plane, Raster, allocate};
use crate::rejection::Rejection;

/// Lays `raster` in the middle of a white canvas. A raster that fills the canvas stays as it is. Otherwise it must be
/// opaque, with planes of one size.
pub(crate) fn on_white(raster: Cow<'_, Raster>, canvas: (u32, u32)) -> Result<Cow<'_, Raster>, Rejection> {
    if (raster.width, raster.height) == canvas {
        return Ok(raster);
    }
    let mut planes = Vec::with_capacity(raster.planes.len());
    for (i, plane) in raster.planes.iter().enumerate() {
        // White is full luma and chroma without colour.
        let white = if i == 0 { 255 } else { 128 };
        let samples = match raster.colour.channels() {
            1 => lay_on::<1, 1>(plane, canvas, [white], |pixel| pixel)?,
            _ => lay_on::<3, 3>(plane, canvas, [white; 3], |pixel| pixel)?,
        };
        planes.push(Plane::packed(samples, canvas.0 as usize, canvas.1 as usize));
    }
    Ok(Cow::Owned(Raster { width: canvas.0, height: canvas.1, colour: raster.colour, planes }))
}

/// Lays `raster`, which has one plane of gray or RGB, in the middle of a transparent canvas. A raster that fills the
/// canvas stays as it is. The canvas is white below its transparency, as it is in a JPEG, for viewers that ignore
/// transparency.
pub(crate) fn on_transparent(raster: Cow<'_, Raster>, canvas: (u32, u32)) -> Result<Cow<'_, Raster>, Rejection> {
    if (raster.width, raster.height) == canvas {
        return Ok(raster);
    }
    let Some(plane) = raster.plane() else {
        return Err(Rejection::engine_failed("bars were to be added to a picture without planes"));
    };
    let (colour, samples) = match raster.colour {
        Colour::Gray => (Colour::GrayAlpha, lay_on::<1, 2>(plane, canvas, [255, 0], |[v]| [v, 255])?),
        Colour::GrayAlpha => (Colour::GrayAlpha, lay_on::<2, 2>(plane, canvas, [255, 0], |pixel| pixel)?),
        Colour::Rgba => (Colour::Rgba, lay_on::<4, 4>(plane, canvas, [255, 255, 255, 0], |pixel| pixel)?),
        _ => (Colour::Rgba, lay_on::<3, 4>(plane, canvas, [255, 255, 255, 0], |[r, g, b]| [r, g, b, 255])?),
    };
    Ok(Cow::Owned(Raster::packed(canvas.0, canvas.1, colour, samples)))
}

/// Returns the samples of a canvas that is filled with `background`, with the converted pixels of `plane` in its
/// middle.
fn lay_on<const FROM: usize, const TO: usize>(
    plane: &Plane,
    (width, height): (u32, u32),
    background: [u8; TO],
    convert: impl Fn([u8; FROM]) -> [u8; TO],
) -> Result<Vec<u8>, Rejection> {
    let (width, height) = (width as usize, height as usize);
    let (left, top) = (width.saturating_sub(plane.width) / 2, height.saturating_sub(plane.height) / 2);
    let mut samples = allocate(width * height * TO)?;
    let pixels = samples.as_chunks_mut::<TO>().0;
    pixels.fill(background);
    for (line, row) in pixels.chunks_exact_mut(width.max(1)).skip(top).zip(plane.rows(FROM)) {
        for (to, from) in line.iter_mut().skip(left).zip(row.as_chunks::<FROM>().0) {
            *to = convert(*from);
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_lies_in_the_middle_of_its_bars() {
        let gray = Raster::packed(1, 2, Colour::Gray, vec![7, 8]);
        let made = on_transparent(Cow::Borrowed(&gray), (2, 4)).unwrap();
        assert_eq!((made.width, made.height, made.colour), (2, 4, Colour::GrayAlpha));
        let clear = [255, 0];
        let pixels = [clear, clear, [7, 255], clear, [8, 255], clear, clear, clear];
        assert_eq!(made.planes[0].samples, pixels.concat());
        let made = on_white(Cow::Borrowed(&gray), (3, 2)).unwrap();
        assert_eq!(made.planes[0].samples, [255, 7, 255, 255, 8, 255]);

        let rgba = Raster::packed(1, 1, Colour::Rgba, vec![1, 2, 3, 4]);
        assert_eq!(
            on_transparent(Cow::Borrowed(&rgba), (2, 1)).unwrap().planes[0].samples,
            [1, 2, 3, 4, 255, 255, 255, 0]
        );
        let rgb = Raster::packed(1, 1, Colour::Rgb, vec![1, 2, 3]);
        assert_eq!(
            on_transparent(Cow::Borrowed(&rgb), (1, 2)).unwrap().planes[0].samples,
            [1, 2, 3, 255, 255, 255, 255, 0]
        );
        assert_eq!(on_white(Cow::Borrowed(&rgb), (1, 2)).unwrap().planes[0].samples, [1, 2, 3, 255, 255, 255]);
    }

    #[test]
    fn white_of_a_planar_picture_has_no_colour() {
        let planes = [10, 20, 30].map(|sample| Plane::packed(vec![sample], 1, 1)).to_vec();
        let made = on_white(Cow::Owned(Raster { width: 1, height: 1, colour: Colour::YCbCr, planes }), (3, 1)).unwrap();
        let samples: Vec<_> = made.planes.iter().map(|plane| plane.samples.clone()).collect();
        assert_eq!(samples, [[255, 10, 255], [128, 20, 128], [128, 30, 128]]);
    }
}
