//! PNG: reads the chunks up to the first that holds pixels. None is inflated.

use domain::Media;

use crate::exif;
use crate::probed_picture::{FormatDetail, Probe};
use crate::rejection::Rejection;

pub(super) fn probe(file: &[u8]) -> Result<Probe, Rejection> {
    let broken = |why: &'static str| Rejection::broken(Media::Png, why);
    let mut at = 8;
    let mut found: Option<Probe> = None;
    loop {
        let head = file.get(at..).and_then(<[u8]>::first_chunk::<8>).ok_or_else(|| broken("it ends too early"))?;
        let &[l3, l2, l1, l0, kind @ ..] = head;
        let length = u32::from_be_bytes([l3, l2, l1, l0]) as usize;
        let body = at + 8..at + 8 + length;
        // Pixels may be truncated; the decoder rejects such a file.
        if &kind == b"IDAT" {
            return found.ok_or_else(|| broken("its header is missing"));
        }
        let data = file.get(body.clone()).ok_or_else(|| broken("it ends too early"))?;
        match (&kind, &mut found) {
            (b"IHDR", None) => found = Some(parse_header(data)?),
            (b"IHDR", Some(_)) => return Err(broken("it has two headers")),
            (_, None) => return Err(broken("its header is missing")),
            (b"tRNS", Some(probe)) => {
                probe.alpha = true;
                if let FormatDetail::Png { channels } = &mut probe.detail {
                    // Transparency turns gray into pairs and colours into quadruples.
                    *channels += *channels % 2;
                }
            }
            (b"acTL", Some(probe)) => {
                if let Some(&[a, b, c, d]) = data.first_chunk() {
                    probe.frames = u32::from_be_bytes([a, b, c, d]).max(1);
                }
            }
            (b"eXIf", Some(probe)) => probe.orientation = exif::orientation(data),
            (b"iCCP", Some(probe)) => {
                // A name of at most 79 bytes, a zero byte, and the method, which is always zero as well.
                if let Some(name) = data.iter().take(80).position(|byte| *byte == 0).filter(|n| n + 2 < length) {
                    probe.icc.push(body.start + name + 2..body.end);
                }
            }
            (b"IEND", _) => return Err(broken("its pixels are missing")),
            _ => {}
        }
        at = body.end + 4;
    }
}

fn parse_header(data: &[u8]) -> Result<Probe, Rejection> {
    let wrong = || Rejection::broken(Media::Png, "its header is invalid");
    let &[w3, w2, w1, w0, h3, h2, h1, h0, depth, colour, ..] = data else { return Err(wrong()) };
    let (channels, alpha) = match colour {
        0 => (1, false),
        2 | 3 => (3, false),
        4 => (2, true),
        6 => (4, true),
        _ => return Err(wrong()),
    };
    let stored = (u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0]));
    let mut probe = Probe::new(Media::Png, stored, FormatDetail::Png { channels });
    (probe.depth, probe.alpha) = (depth, alpha);
    Ok(probe)
}
