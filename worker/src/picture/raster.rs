//! Decoded samples on their way from decoder to encoder.
//!
//! A raster stands for a picture of `width` × `height` and holds it in one or several planes. The planes of a JPEG stay
//! as the file has them, chroma at half size and everything at the decoded scale, so a plane also knows which part of
//! it, down to fractions of a sample, the picture covers.

use std::borrow::Cow;

use super::Rejection;

/// What the samples mean, and how they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    /// One plane of lightness.
    Gray,
    /// One plane of pairs.
    GrayAlpha,
    /// One plane of triples.
    Rgb,
    /// One plane of quadruples, alpha not multiplied in.
    Rgba,
    /// One plane of quadruples of ink, 255 for none of it (as Adobe stores it).
    Cmyk,
    /// Three planes, JFIF's full-range BT.601; the second and third may be smaller than the first.
    YCbCr,
}

impl Colour {
    /// Bytes per pixel within one plane.
    pub(super) fn channels(self) -> usize {
        match self {
            Self::Gray | Self::YCbCr => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }

    pub(super) fn has_alpha(self) -> bool {
        matches!(self, Self::GrayAlpha | Self::Rgba)
    }
}

/// Rows of samples; `samples` holds `height` rows of `stride` pixels, of which `width` count.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    pub(super) samples: Vec<u8>,
    pub(super) stride: usize,
    pub(super) width: usize,
    pub(super) height: usize,
    /// The part the picture covers, in pixels from the top left: `width` less what was rounded up.
    pub(super) extent: (f64, f64),
}

impl Plane {
    /// A plane without gaps. `samples` must hold `width` × `height` pixels.
    pub(super) fn packed(samples: Vec<u8>, width: usize, height: usize) -> Self {
        Self { samples, stride: width, width, height, extent: (width as f64, height as f64) }
    }

    /// The rows that count, without what lies between.
    pub(super) fn rows(&self, channels: usize) -> impl Iterator<Item = &[u8]> {
        let (stride, width) = (self.stride * channels, self.width * channels);
        self.samples.chunks(stride.max(1)).take(self.height).map(move |row| row.get(..width).unwrap_or(row))
    }
}

/// A picture in memory.
#[derive(Clone, Debug)]
pub(super) struct Raster {
    /// Of the picture, whatever the scale of the planes.
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) colour: Colour,
    pub(super) planes: Vec<Plane>,
}

impl Raster {
    /// A raster of one plane at its own size, with the samples packed.
    pub(super) fn packed(width: u32, height: u32, colour: Colour, samples: Vec<u8>) -> Self {
        let plane = Plane::packed(samples, width as usize, height as usize);
        Self { width, height, colour, planes: vec![plane] }
    }

    /// The first plane: all there is, unless `colour` is [`Colour::YCbCr`].
    pub(super) fn plane(&self) -> Option<&Plane> {
        self.planes.first()
    }

    /// The same picture without gaps between the rows of its one plane, as encoders and converters want it.
    pub(super) fn compact(raster: Cow<'_, Self>) -> Cow<'_, Self> {
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

    /// The same picture without its alpha channel, if that says nothing: many files carry one that is opaque all over.
    pub(super) fn without_opaque_alpha(mut self) -> Self {
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

/// Closes up pixels of `N` channels to `N - 1`, in place.
fn drop_last_channel<const N: usize>(samples: &mut Vec<u8>) {
    let pixels = samples.len() / N;
    for pixel in 0..pixels {
        samples.copy_within(pixel * N..pixel * N + N - 1, pixel * (N - 1));
    }
    samples.truncate(pixels * (N - 1));
}

/// `bytes` zeros, or the rejection of a picture that the machine has no memory for: the estimate in front should have
/// refused it, so this is the second line.
pub(super) fn allocate(bytes: usize) -> Result<Vec<u8>, Rejection> {
    let mut samples = Vec::new();
    samples.try_reserve_exact(bytes).map_err(|_| Rejection::LimitExceeded {
        excess: super::LimitKind::Memory,
        limit: 0,
        actual: bytes as u64,
    })?;
    samples.resize(bytes, 0);
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_goes_when_it_says_nothing() {
        let opaque = Raster::packed(2, 1, Colour::Rgba, vec![1, 2, 3, 255, 4, 5, 6, 255]).without_opaque_alpha();
        assert_eq!((opaque.colour, &opaque.planes[0].samples[..]), (Colour::Rgb, &[1, 2, 3, 4, 5, 6][..]));
        let sheer = Raster::packed(2, 1, Colour::GrayAlpha, vec![1, 255, 2, 254]).without_opaque_alpha();
        assert_eq!(sheer.colour, Colour::GrayAlpha);
    }
}
