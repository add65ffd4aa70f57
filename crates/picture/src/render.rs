//! Renders a picture: decodes it once, and makes every output from the result.

use std::borrow::Cow;

use domain::Media;
use fast_image_resize::Resizer;

use crate::cancel::CancelFlag;
use crate::colour::{self, ColourTransform};
use crate::decoder::{DecodeBuffers, DecodeContext};
use crate::geometry::{self, OutputTarget};
use crate::limits::Limits;
use crate::orientation::Orientation;
use crate::plan::{OutputFormat, RenderPlan};
use crate::probe::probe;
use crate::probed_picture::{Probe, decode_scale};
use crate::raster::{Colour, Raster};
use crate::rejection::{LimitKind, Rejection};
use crate::resize::{ChromaSize, ResizeChain};
use crate::{decode, encode, letterbox};

/// The quality of every written JPEG, on libjpeg's scale.
const JPEG_QUALITY: u8 = 80;

/// The result of rendering a file.
#[derive(Clone, Debug)]
pub struct RenderedPicture {
    /// The width of the original in pixels, after orientation and before any rotation or crop.
    pub width: u32,
    /// The height of the original in pixels, after orientation and before any rotation or crop.
    pub height: u32,
    /// The media type of the original.
    pub media: Media,
    /// The outputs, in the order of the plan.
    pub variants: Vec<RenderedVariant>,
}

/// One output, ready to be served.
#[derive(Clone, Debug)]
pub struct RenderedVariant {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// [`Media::Jpeg`] or [`Media::Png`].
    pub media: Media,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Probes and renders `bytes` according to `plan`, with new buffers. See [`RenderBuffers::render`].
///
/// # Errors
///
/// As [`probe`] and [`RenderBuffers::render`].
pub fn render(
    bytes: &[u8],
    plan: &RenderPlan,
    limits: &Limits,
    stop: &CancelFlag,
) -> Result<RenderedPicture, Rejection> {
    RenderBuffers::default().render(bytes, &probe(bytes, limits)?, plan, limits, stop)
}

/// The buffers that one thread keeps between pictures, so that memory is not allocated again for each picture.
/// Nothing of one picture can be seen in another.
#[derive(Default)]
pub struct RenderBuffers {
    resizer: Resizer,
    decode: DecodeBuffers,
}

impl RenderBuffers {
    /// Renders `bytes` according to `plan`. `probe` must be the result of [`probe`] for these bytes. The decoders
    /// reject a probe of other bytes, as they reject a file with wrong headers.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] if the bytes are broken, if the plan needs more memory than `limits` allow, or if `stop` was
    /// set. A file that lacks a part of its picture is rejected as a whole; there are no half pictures.
    pub fn render(
        &mut self,
        bytes: &[u8],
        probe: &Probe,
        plan: &RenderPlan,
        limits: &Limits,
        stop: &CancelFlag,
    ) -> Result<RenderedPicture, Rejection> {
        stop.check()?;
        Rejection::check_limit(LimitKind::Memory, probe.memory_estimate(plan), limits.max_memory)?;
        let orientation = probe.orientation.then(plan.rotation);
        let targets = geometry::output_targets(plan, probe.stored_size, orientation);
        let mut context = DecodeContext { scale: decode_scale(&targets), limits, buffers: &mut self.decode, stop };
        let source = decode::decode(bytes, probe, &mut context)?;
        let profile = probe.colours.profile(bytes, source.colour, limits)?;
        let correction = ColourTransform::new(profile.as_ref(), source.colour);
        let mut chain = ResizeChain::new(source);

        let mut variants: Vec<Option<RenderedVariant>> = targets.iter().map(|_| None).collect();
        let mut order: Vec<usize> = (0..targets.len()).collect();
        order.sort_by_key(|i| std::cmp::Reverse(targets[*i].pixels()));
        for i in order {
            let media = output_media(targets[i].format, probe.opaque_output, chain.colour());
            variants[i] = Some(self.render_variant(&mut chain, &targets[i], media, orientation, &correction, stop)?);
        }
        Ok(RenderedPicture {
            width: probe.width,
            height: probe.height,
            media: probe.media,
            variants: variants.into_iter().flatten().collect(),
        })
    }

    /// Decodes the planes of a JPEG at `n` eighths (1 to 6, or 8) of its size, and does nothing else. The fuzzer and
    /// the benchmark of this step call it.
    ///
    /// # Errors
    ///
    /// As [`RenderBuffers::render`].
    #[doc(hidden)]
    pub fn decode_jpeg_planes(
        &mut self,
        bytes: &[u8],
        n: u8,
        limits: &Limits,
        stop: &CancelFlag,
    ) -> Result<Vec<Vec<u8>>, Rejection> {
        let probe = probe(bytes, limits)?;
        let mut context = DecodeContext { scale: n, limits, buffers: &mut self.decode, stop };
        let raster = decode::decode(bytes, &probe, &mut context)?;
        Ok(raster.planes.into_iter().map(|plane| plane.samples).collect())
    }

    fn render_variant(
        &mut self,
        chain: &mut ResizeChain,
        target: &OutputTarget,
        media: Media,
        orientation: Orientation,
        correction: &ColourTransform,
        stop: &CancelFlag,
    ) -> Result<RenderedVariant, Rejection> {
        // Luma and chroma go straight into the encoder if no step in between needs RGB.
        let planar = media == Media::Jpeg && correction.is_identity() && chain.colour() == Colour::YCbCr;
        let barred = target.canvas != orientation.oriented_size((target.width, target.height));
        // Half-size chroma can be turned with the luma, unless an odd length changes which pixels form a pair. A bar of an
        // odd width changes them too.
        let parted = planar && (barred || orientation.splits_chroma_pairs((target.width, target.height)));
        let chroma = if planar && !parted { ChromaSize::Half } else { ChromaSize::Full };
        let resized = chain.resize_to(&mut self.resizer, target, chroma, stop)?;
        let upright: Cow<'_, Raster> = match orientation {
            Orientation::Upright => resized,
            orientation => Cow::Owned(orientation.apply(resized.into_owned())),
        };
        stop.check()?;
        let (width, height) = target.canvas;
        let bytes = if planar {
            let upright = letterbox::on_white(upright, target.canvas)?;
            let halved = if parted { Cow::Owned(colour::subsample_chroma(&upright)) } else { upright };
            encode::jpeg(&halved, JPEG_QUALITY, stop)?
        } else {
            let corrected = correction.apply(upright);
            stop.check()?;
            match media {
                Media::Png => {
                    let barred = letterbox::on_transparent(corrected, target.canvas)?;
                    encode::png(&barred, stop)?
                }
                _ => {
                    let flat = letterbox::on_white(colour::flatten(corrected), target.canvas)?;
                    match flat.colour {
                        Colour::Gray => encode::jpeg(&flat, JPEG_QUALITY, stop)?,
                        _ => encode::jpeg(&colour::ycbcr_from_rgb(&flat), JPEG_QUALITY, stop)?,
                    }
                }
            }
        };
        Ok(RenderedVariant { width, height, media, bytes })
    }
}

/// Chooses the format of an output by the requested format, the format of the original and its
/// colours. `opaque` is the format for an original that is opaque.
fn output_media(format: OutputFormat, opaque: Media, colour: Colour) -> Media {
    match format {
        OutputFormat::Jpeg => Media::Jpeg,
        OutputFormat::Png => Media::Png,
        OutputFormat::Auto if colour.has_alpha() => Media::Png,
        OutputFormat::Auto => opaque,
    }
}
