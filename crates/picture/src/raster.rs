//! Decoded samples, passed from the decoder to the encoder.
//!
//! A raster is a picture of `width` × `height` in one or several planes. The planes of a JPEG stay as the file has
//! them: chroma at half size, and everything at the decoded scale. So a plane also has an extent: the part of the plane
//! that the picture covers, in fractions of a sample.

use std::borrow::Cow;

use crate::rejection::Rejection;

/// The meaning and the layout of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    /// One plane of lightness.
    Gray,
    /// One plane of pairs: lightness and alpha.
    GrayAlpha,
    /// One plane of triples: red, green and blue.
    Rgb,
    /// One plane of quadruples, alpha not premultiplied.
    Rgba,
    /// One plane of quadruples of ink; 255 means no ink (as Adobe stores it).
    Cmyk,
    /// Three planes, JFIF's full-range BT.601; the second and third may be smaller than the first.
    YCbCr,
}

impl Colour {
    /// Bytes per pixel within one plane.
    pub(crate) fn channels(self) -> usize {
        match self {
            Self::Gray | Self::YCbCr => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }

    pub(crate) fn has_alpha(self) -> bool {
        matches!(self, Self::GrayAlpha | Self::Rgba)
    }
}

/// Rows of samples; `samples` holds `height` rows of `stride` pixels, of which `width` are valid.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub(crate) samples: Vec<u8>,
    pub(crate) stride: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// The part that the picture covers, in pixels from the top left: `width` and `height` without what was rounded up.
    pub(crate) extent: (f64, f64),
}

impl Plane {
    /// A plane without gaps. `samples` must hold `width` × `height` pixels.
    pub(crate) fn packed(samples: Vec<u8>, width: usize, height: usize) -> Self {
        Self { samples, stride: width, width, height, extent: (width as f64, height as f64) }
    }

    /// The valid pixels of each row, without those after `width`.
    pub(crate) fn rows(&self, channels: usize) -> impl Iterator<Item = &[u8]> {
        let (stride, width) = (self.stride * channels, self.width * channels);
        self.samples.chunks(stride.max(1)).take(self.height).map(move |row| row.get(..width).unwrap_or(row))
    }
}

/// A picture in memory.
#[derive(Clone, Debug)]
pub(crate) struct Raster {
    /// The width of the picture, whatever the scale of the planes.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) colour: Colour,
    pub(crate) planes: Vec<Plane>,
}

impl Raster {
    /// A raster with one plane, which has the size of the picture and no gaps between its rows.
    pub(crate) fn packed(width: u32, height: u32, colour: Colour, samples: Vec<u8>) -> Self {
        let plane = Plane::packed(samples, width as usize, height as usize);
        Self { width, height, colour, planes: vec![plane] }
    }

    /// The first plane. It is the only one, unless `colour` is [`Colour::YCbCr`].
    pub(crate) fn plane(&self) -> Option<&Plane> {
        self.planes.first()
    }

    /// Removes gaps between the rows of the only plane, because encoders and converters expect
    /// none.
    pub(crate) fn compact(raster: Cow<'_, Self>) -> Cow<'_, Self> {
        let channels = raster.colour.channels();
        let gaps = |plane: &Plane| plane.samples.len() != plane.width * plane.height * channels;
        if !raster.plane().is_some_and(gaps) {
            return raster;
        }
        let mut raster = raster.into_owned();
        if let Some(plane) = raster.planes.first_mut() {
            plane.samples = plane.rows(channels).collect::<Vec<_>>().concat();
            plane.stride = plane.width;
        }
        Cow::Owned(raster)
    }

    /// Removes the alpha channel if it is opaque everywhere, as it is in many files.
    pub(crate) fn without_opaque_alpha(mut self) -> Self {
        let Some(plane) = self.planes.first_mut().filter(|_| self.colour.has_alpha()) else { return self };
        match self.colour {
            Colour::Rgba if plane.samples.as_chunks::<4>().0.iter().all(|pixel| pixel[3] == 255) => {
                drop_last_channel::<4>(&mut plane.samples);
                self.colour = Colour::Rgb;
            }
            Colour::GrayAlpha if plane.samples.as_chunks::<2>().0.iter().all(|pixel| pixel[1] == 255) => {
                drop_last_channel::<2>(&mut plane.samples);
                self.colour = Colour::Gray;
            }
            _ => {}
        }
        self
    }
}

/// Compacts pixels of `N` channels to `N - 1`, in place.
fn drop_last_channel<const N: usize>(samples: &mut Vec<u8>) {
    let pixels = samples.len() / N;
    for pixel in 0..pixels {
        samples.copy_within(pixel * N..pixel * N + N - 1, pixel * (N - 1));
    }
    samples.truncate(pixels * (N - 1));
}

/// Allocates `bytes` zeros. If the machine has no memory for them, that is our failure, because the memory estimate
/// refuses a picture that needs too much.
pub(crate) fn allocate(bytes: usize) -> Result<Vec<u8>, Rejection> {
    let mut samples = Vec::new();
    samples.try_reserve_exact(bytes).map_err(|_| Rejection::out_of_memory(bytes))?;
    samples.resize(bytes, 0);
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_removed_only_if_all_pixels_are_opaque() {
        let opaque = Raster::packed(2, 1, Colour::Rgba, vec![1, 2, 3, 255, 4, 5, 6, 255]).without_opaque_alpha();
        assert_eq!((opaque.colour, &opaque.planes[0].samples[..]), (Colour::Rgb, &[1, 2, 3, 4, 5, 6][..]));
        let sheer = Raster::packed(2, 1, Colour::GrayAlpha, vec![1, 255, 2, 254]).without_opaque_alpha();
        assert_eq!(sheer.colour, Colour::GrayAlpha);
    }
}
