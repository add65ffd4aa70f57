//! JPEG: the frame header, EXIF's orientation, the profile.

use upload::Media;

use super::{Detail, Probe};
use crate::picture::jpeg::header::Header;
use crate::picture::{Rejection, exif};

pub(super) fn probe(file: &[u8]) -> Result<Probe, Rejection> {
    let header = Header::read(file)?;
    let frame = &header.frame;
    let variety = match (frame.kind, frame.precision) {
        (0..=2, 8) => None,
        (0..=2, bits) => Some(format!("JPEG with {bits} bits per sample")),
        (3, _) | (7, _) | (11, _) | (15, _) => Some("lossless JPEG".to_owned()),
        (5..=6, _) | (13..=14, _) => Some("hierarchical JPEG".to_owned()),
        _ => Some("arithmetic-coded JPEG".to_owned()),
    };
    if let Some(what) = variety {
        return Err(Rejection::Unsupported {
            media: Some(Media::Jpeg),
            what: what.into(),
            remedy: "save it as an ordinary JPEG",
        });
    }
    let stored = (u32::from(frame.width), u32::from(frame.height));
    let mut probe = Probe::new(Media::Jpeg, stored, Detail::Jpeg(Box::new(header.clone())));
    probe.orientation = header.exif.and_then(|at| file.get(at)).map(exif::orientation).unwrap_or_default();
    probe.icc = header.icc;
    Ok(probe)
}

/// Bytes of the decoded planes, and on top of them while decoding.
pub(super) fn memory(header: &Header, n: u8, length: u64) -> (u64, u64) {
    let _ = n;
    let pixels = u64::from(header.frame.width) * u64::from(header.frame.height);
    let channels = header.frame.components.len() as u64;
    (pixels * 3, length + if header.frame.is_progressive() { pixels * channels * 2 } else { 4 << 20 })
}
