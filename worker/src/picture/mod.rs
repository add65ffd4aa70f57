//! The picture engine: bytes that nobody believes go in; an upright, colour-true, stripped picture and its sizes come
//! out, or the reason why not.
//!
//! Called by the pool, which gives it a thread, a memory budget and a deadline, and by `cloakroom render`. It does no
//! I/O, reads no clock and keeps no state between calls but the buffers of a [`Workbench`]. All image codecs of the
//! program are in here.
//!
//! ```text
//! probe     what the headers say, and whether they alone rule the file out
//! decode    the first frame, no larger than the outputs need
//! crop      which part of it goes into which output
//! resize    every size from the next larger one, planes as they are
//! orient    upright
//! colour    sRGB
//! encode    JPEG or PNG, without anything the file said besides its pixels
//! ```
//!
//! The first two steps meet hostile bytes, and are memory-safe code throughout; after them there are only samples.
//! Orientation and colour come after resizing because they are cheap on a thumbnail and dear on a photograph.

mod colour;
mod crop;
mod decode;
mod encode;
mod exif;
mod jpeg;
mod limits;
mod orient;
mod plan;
mod probe;
mod raster;
mod rejection;
mod resize;
mod stop;

use std::borrow::Cow;

use fast_image_resize::Resizer;
use upload::Media;

pub use self::limits::Limits;
pub use self::orient::Orientation;
pub use self::plan::{Format, Output, Plan, Region, Shape};
pub use self::probe::{Probe, probe};
pub use self::rejection::{Excess, Rejection};
pub use self::stop::Stop;

use self::colour::Correction;
use self::crop::Target;
use self::raster::{Colour, Raster};
use self::resize::{Chroma, Ladder};

/// Of every JPEG written, as libjpeg counts it.
const QUALITY: u8 = 80;

/// What became of a file.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Pixels of the original, as people see it: after orientation, before any crop.
    pub width: u32,
    /// Pixels of the original, as people see it: after orientation, before any crop.
    pub height: u32,
    /// What the original was.
    pub media: Media,
    /// The outputs, in the order of the plan.
    pub variants: Vec<Variant>,
}

/// One output, ready to be served.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// [`Media::Jpeg`] or [`Media::Png`].
    pub media: Media,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Probes and renders `bytes` as `plan` says, on a workbench of its own. See [`Workbench::render`].
///
/// # Errors
///
/// As [`probe`] and [`Workbench::render`].
pub fn render(bytes: &[u8], plan: &Plan, limits: &Limits, stop: &Stop) -> Result<Picture, Rejection> {
    Workbench::default().render(bytes, &probe(bytes, limits)?, plan, limits, stop)
}

/// What one thread keeps between pictures: buffers, so that memory is asked for once and not for every picture.
/// No picture leaves a trace that another could see.
#[derive(Default)]
pub struct Workbench {
    resizer: Resizer,
    desk: jpeg::Desk,
}

impl Workbench {
    /// Renders `bytes` as `plan` says. `probe` is what [`probe`] found in these very bytes; of others it would tell
    /// nothing but lies, which the decoders refuse as they refuse those of a file.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] when the bytes are broken, the plan needs more memory than `limits` allow, or when `stop` was set.
    /// A damaged or cut-off file is rejected as a whole; there are no half pictures.
    pub fn render(
        &mut self,
        bytes: &[u8],
        probe: &Probe,
        plan: &Plan,
        limits: &Limits,
        stop: &Stop,
    ) -> Result<Picture, Rejection> {
        stop.check()?;
        Rejection::check(Excess::Memory, probe.memory(plan), limits.max_memory)?;
        let targets = crop::targets(plan, probe.stored, probe.orientation);
        let source = decode::decode(bytes, probe, probe::scale(&targets), limits, &mut self.desk, stop)?;
        let profile = colour::profile(bytes, probe, limits)?;
        let correction = Correction::new(profile.as_deref(), source.colour);
        let mut ladder = Ladder::new(probe.media, source);

        let mut variants: Vec<Option<Variant>> = targets.iter().map(|_| None).collect();
        let mut order: Vec<usize> = (0..targets.len()).collect();
        order.sort_by_key(|i| std::cmp::Reverse(targets[*i].pixels()));
        for i in order {
            let media = media(targets[i].format, probe.media, ladder.colour());
            variants[i] = Some(self.variant(&mut ladder, &targets[i], media, probe, &correction, stop)?);
        }
        Ok(Picture {
            width: probe.width,
            height: probe.height,
            media: probe.media,
            variants: variants.into_iter().flatten().collect(),
        })
    }

    /// The planes of a JPEG at `n` eighths (1 to 6, or 8) of its size, and nothing after that: the step by itself,
    /// for its fuzzer and its benchmark.
    ///
    /// # Errors
    ///
    /// As [`Workbench::render`].
    #[doc(hidden)]
    pub fn planes(&mut self, bytes: &[u8], n: u8, limits: &Limits, stop: &Stop) -> Result<Vec<Vec<u8>>, Rejection> {
        let probe = probe(bytes, limits)?;
        let raster = decode::decode(bytes, &probe, n, limits, &mut self.desk, stop)?;
        Ok(raster.planes.into_iter().map(|plane| plane.samples).collect())
    }

    fn variant(
        &mut self,
        ladder: &mut Ladder,
        target: &Target,
        media: Media,
        probe: &Probe,
        correction: &Correction,
        stop: &Stop,
    ) -> Result<Variant, Rejection> {
        // Luma and chroma go straight into the encoder where nobody has to see the colours in between.
        let planar = media == Media::Jpeg && correction.is_idle() && ladder.colour() == Colour::YCbCr;
        // Half-size chroma can be turned with the rest, unless an odd length makes other pairs of the pixels.
        let parted = planar && probe.orientation.parts_pairs((target.width, target.height));
        let chroma = if planar && !parted { Chroma::Half } else { Chroma::Full };
        let resized = ladder.step(&mut self.resizer, target, chroma, stop)?;
        let upright: Cow<'_, Raster> = match probe.orientation {
            Orientation::Upright => resized,
            orientation => Cow::Owned(orientation.apply(resized.into_owned())),
        };
        stop.check()?;
        let (width, height) = (upright.width, upright.height);
        let bytes = if planar {
            let halved = if parted { Cow::Owned(colour::half_chroma(&upright)) } else { upright };
            encode::jpeg(&halved, QUALITY, stop)?
        } else {
            let corrected = correction.apply(upright);
            stop.check()?;
            match media {
                Media::Png => encode::png(&corrected, stop)?,
                _ => {
                    let flat = colour::flatten(corrected);
                    match flat.colour {
                        Colour::Gray => encode::jpeg(&flat, QUALITY, stop)?,
                        _ => encode::jpeg(&colour::ycbcr_from_rgb(&flat), QUALITY, stop)?,
                    }
                }
            }
        };
        Ok(Variant { width, height, media, bytes })
    }
}

/// What an output becomes, by what was wanted, what came and what was found in it.
fn media(format: Format, from: Media, colour: Colour) -> Media {
    match format {
        Format::Jpeg => Media::Jpeg,
        Format::Png => Media::Png,
        Format::Auto if colour.has_alpha() => Media::Png,
        Format::Auto => match from {
            Media::Png | Media::Gif => Media::Png,
            _ => Media::Jpeg,
        },
    }
}
