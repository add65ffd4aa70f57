//! Reads the chunks of a PNG up to the first chunk that holds pixels. No chunk is inflated.

use std::sync::Arc;

use domain::Media;

use super::decoder::{PngDecoder, broken};
use crate::colour_description::{Chromaticities, ColourDescription};
use crate::colour_source::ColourSource;
use crate::exif;
use crate::limits::Limits;
use crate::probed_picture::Probe;
use crate::rejection::Rejection;

/// What the chunks before the pixels say about the colours. Rule: PNG, third edition, 11.3.2 and 13.13.
#[derive(Default)]
struct ColourChunks {
    cicp: Option<ColourDescription>,
    profile: Option<ColourSource>,
    is_srgb: bool,
    /// The encoding exponent, times 100,000.
    gamma: Option<u32>,
    chromaticities: Option<Chromaticities>,
}

impl ColourChunks {
    /// Returns what the chunk with the highest rank says: cICP, then iCCP, then sRGB. gAMA and cHRM
    /// count only if none of these is there.
    fn source(self) -> ColourSource {
        let described = ColourDescription::from_png(self.gamma, self.chromaticities).filter(|_| !self.is_srgb);
        match (self.cicp, self.profile) {
            (Some(description), _) => ColourSource::Description(description),
            (None, Some(profile)) => profile,
            (None, None) => described.map_or(ColourSource::Unspecified, ColourSource::Description),
        }
    }
}

pub(crate) fn probe(file: &[u8], _: &Limits) -> Result<Probe, Rejection> {
    let mut at = 8;
    let mut found: Option<(Probe, PngDecoder)> = None;
    let mut colours = ColourChunks::default();
    loop {
        let head = file.get(at..).and_then(<[u8]>::first_chunk::<8>).ok_or_else(|| broken("it ends too early"))?;
        let &[l3, l2, l1, l0, kind @ ..] = head;
        let length = u32::from_be_bytes([l3, l2, l1, l0]) as usize;
        let body = at + 8..at + 8 + length;
        // The pixels may be truncated. The decoder, not this probe, rejects such a file.
        if &kind == b"IDAT" {
            let (mut probe, decoder) = found.ok_or_else(|| broken("its header is missing"))?;
            probe.colours = colours.source();
            probe.decoder = Arc::new(decoder);
            return Ok(probe);
        }
        let data = file.get(body.clone()).ok_or_else(|| broken("it ends too early"))?;
        match (&kind, &mut found) {
            (b"IHDR", None) => found = Some(parse_header(data)?),
            (b"IHDR", Some(_)) => return Err(broken("it has two headers")),
            (b"CgBI", None) => return Err(apple_variety()),
            (_, None) => return Err(broken("its header is missing")),
            (b"tRNS", Some((probe, decoder))) => {
                probe.alpha = true;
                // Transparency adds a sample to each pixel: gray has two then, colours have four.
                decoder.channels += decoder.channels % 2;
            }
            (b"acTL", Some((probe, _))) => {
                if let Some(&[a, b, c, d]) = data.first_chunk() {
                    probe.frames = u32::from_be_bytes([a, b, c, d]).max(1);
                }
            }
            (b"eXIf", Some((probe, _))) => probe.orientation = exif::orientation(data),
            (b"iCCP", Some(_)) => {
                // Before the profile come a name of at most 79 bytes, a zero byte, and the compression method, which is
                // always zero as well.
                if let Some(name) = data.iter().take(80).position(|byte| *byte == 0).filter(|n| n + 2 < length) {
                    colours.profile = Some(ColourSource::DeflatedProfile(body.start + name + 2..body.end));
                }
            }
            (b"cICP", Some(_)) => {
                colours.cicp = data.first_chunk().copied().and_then(ColourDescription::from_code_points);
            }
            (b"sRGB", Some(_)) => colours.is_srgb = true,
            (b"gAMA", Some(_)) => colours.gamma = data.first_chunk().map(|four| u32::from_be_bytes(*four)),
            (b"cHRM", Some(_)) => colours.chromaticities = Chromaticities::from_png(data),
            (b"IEND", _) => return Err(broken("its pixels are missing")),
            _ => {}
        }
        at = body.end + 4;
    }
}

/// Returns the rejection of a file in Apple's CgBI variety. Xcode writes such files into applications for iPhones.
/// Their pixels are compressed in another way.
fn apple_variety() -> Rejection {
    Rejection::Unsupported {
        media: Some(Media::Png),
        what: "PNG in Apple's CgBI variety".into(),
        remedy: Media::Png.remedy().into(),
    }
}

fn parse_header(data: &[u8]) -> Result<(Probe, PngDecoder), Rejection> {
    let wrong = || broken("its header is invalid");
    let &[w3, w2, w1, w0, h3, h2, h1, h0, depth, colour, ..] = data else { return Err(wrong()) };
    let (channels, alpha) = match colour {
        0 => (1, false),
        2 | 3 => (3, false),
        4 => (2, true),
        6 => (4, true),
        _ => return Err(wrong()),
    };
    let size = (u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0]));
    let decoder = PngDecoder { size, channels };
    let mut probe = Probe::new(Media::Png, size, Arc::new(decoder));
    (probe.depth, probe.alpha) = (depth, alpha);
    Ok((probe, decoder))
}
