//! JPEG: reads the frame header, the EXIF orientation and the profile.

use domain::Media;

use crate::exif;
use crate::formats::jpeg::header::Header;
use crate::probed_picture::{FormatDetail, Probe};
use crate::rejection::Rejection;

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
