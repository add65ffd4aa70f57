//! JPEG: reads the frame header, the EXIF orientation and the profile.

use domain::Media;

use super::{FormatDetail, Probe};
use crate::jpeg::header::{ColourModel, Header};
use crate::{Rejection, exif};

pub(super) fn probe(file: &[u8]) -> Result<Probe, Rejection> {
    let header = Header::read(file)?;
    let frame = &header.frame;
    let variety = match (frame.sof_type, frame.precision) {
        (0..=2, 8) => None,
        (0..=2, bits) => Some(format!("JPEG with {bits} bits per sample")),
        (3, _) | (7, _) | (11, _) | (15, _) => Some("Lossless JPEG".to_owned()),
        (5..=6, _) | (13..=14, _) => Some("Hierarchical JPEG".to_owned()),
        _ => Some("Arithmetic-coded JPEG".to_owned()),
    };
    if let Some(what) = variety {
        return Err(Rejection::Unsupported {
            media: Some(Media::Jpeg),
            what: what.into(),
            remedy: "save it as a baseline JPEG",
        });
    }
    let stored = (u32::from(frame.width), u32::from(frame.height));
    let mut probe = Probe::new(Media::Jpeg, stored, FormatDetail::Jpeg(Box::new(header.clone())));
    probe.orientation = header.exif.and_then(|at| file.get(at)).map(exif::orientation).unwrap_or_default();
    probe.icc = header.icc;
    Ok(probe)
}

/// Bytes of the planes decoded at `n` eighths, and bytes that are held on top of them while decoding. These are the
/// scan without its stuffing, the tables, and for a progressive picture the needed coefficients and one bit for each
/// other.
pub(super) fn memory_estimate(header: &Header, n: u8, length: u64) -> (u64, u64) {
    let (h_max, v_max) = header.frame.sampling();
    let units = u64::from(header.frame.width).div_ceil(8 * u64::from(h_max))
        * u64::from(header.frame.height).div_ceil(8 * u64::from(v_max));
    let blocks: u64 = header.frame.components.iter().map(|c| units * u64::from(c.h) * u64::from(c.v)).sum();
    let samples = u64::from(n) * u64::from(n);
    let stored = if header.frame.is_progressive() { blocks * (samples * 2 + 8) } else { 0 };
    let planes = match header.model {
        ColourModel::Gray | ColourModel::YCbCr => blocks * samples,
        // These are interleaved in a second copy, each component at the size of the largest.
        ColourModel::Rgb | ColourModel::Cmyk | ColourModel::Ycck => {
            2 * 4 * units * u64::from(h_max) * u64::from(v_max) * samples
        }
    };
    (planes, stored + length + (512 << 10))
}
