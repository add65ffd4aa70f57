//! WebP: reads the chunks of its RIFF container. Rule: RFC 9649.

use domain::Media;

use crate::exif;
use crate::probed_picture::{FormatDetail, Probe};
use crate::rejection::Rejection;

pub(super) fn probe(file: &[u8]) -> Result<Probe, Rejection> {
    let broken = |why: &'static str| Rejection::broken(Media::WebP, why);
    let mut extended: Option<Probe> = None;
    let mut lossless = false;
    let mut frames = 0;
    let mut at = 12;
    while let Some(&[a, b, c, d, l0, l1, l2, l3]) = file.get(at..).and_then(<[u8]>::first_chunk) {
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let body = at + 8..at + 8 + length;
        let data = file.get(body.clone()).ok_or_else(|| broken("it ends too early"))?;
        match (&[a, b, c, d], &mut extended) {
            (b"VP8 ", None) => return parse_lossy(data),
            (b"VP8L", None) => return parse_lossless(data),
            (b"VP8X", None) => extended = Some(parse_extended(data)?),
            (b"VP8L", Some(_)) => lossless = true,
            (b"ANMF", Some(_)) => {
                frames += 1;
                // The frame's own header comes first, then a chunk whose name tells whether the frame is lossless.
                lossless |= data.get(16..20) == Some(b"VP8L");
            }
            (b"ICCP", Some(probe)) => probe.icc = vec![body.clone()],
            (b"EXIF", Some(probe)) => probe.orientation = exif::orientation(data),
            _ => {}
        }
        // Chunks begin at even positions.
        at = body.end + length % 2;
    }
    let mut probe = extended.ok_or_else(|| broken("its pixels are missing"))?;
    probe.frames = frames.max(1);
    probe.detail = FormatDetail::WebP { lossy: !lossless };
    Ok(probe)
}

fn too_short() -> Rejection {
    Rejection::broken(Media::WebP, "its header is too short")
}

fn parse_lossy(data: &[u8]) -> Result<Probe, Rejection> {
    let &[_, _, _, 0x9D, 0x01, 0x2A, w0, w1, h0, h1] = data.first_chunk().ok_or_else(too_short)? else {
        return Err(Rejection::broken(Media::WebP, "its first frame is not a key frame"));
    };
    let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
    Ok(Probe::new(Media::WebP, (side(w0, w1), side(h0, h1)), FormatDetail::WebP { lossy: true }))
}

fn parse_lossless(data: &[u8]) -> Result<Probe, Rejection> {
    let &[0x2F, a, b, c, d] = data.first_chunk().ok_or_else(too_short)? else {
        return Err(Rejection::broken(Media::WebP, "its signature is wrong"));
    };
    let bits = u32::from_le_bytes([a, b, c, d]);
    let stored = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1);
    let mut probe = Probe::new(Media::WebP, stored, FormatDetail::WebP { lossy: false });
    probe.alpha = bits >> 28 & 1 == 1;
    Ok(probe)
}

fn parse_extended(data: &[u8]) -> Result<Probe, Rejection> {
    let &[flags, _, _, _, w0, w1, w2, h0, h1, h2] = data.first_chunk().ok_or_else(too_short)?;
    let side = |a: u8, b: u8, c: u8| u32::from_le_bytes([a, b, c, 0]) + 1;
    let mut probe = Probe::new(Media::WebP, (side(w0, w1, w2), side(h0, h1, h2)), FormatDetail::WebP { lossy: true });
    probe.alpha = flags & 0x10 != 0;
    Ok(probe)
}
