//! Reads JPEG: the header, and a decoder that decodes no more of a picture than is needed.
//!
//! Decodes every Huffman-coded JPEG of 8 bits: sequential and progressive, gray, colour or CMYK, with any sampling. It
//! decodes at 1 to 6 or 8 eighths of the size, and skips what it does not need as fast as possible:
//!
//! ```text
//! header          sizes, tables, positions of the metadata
//! bit_reader      a scan without its byte stuffing, and the bits in it
//! huffman         codes by table: symbols, whole coefficients, several unneeded ones at once
//! standard_codes  the Huffman codes for files that contain none
//! sequential      block by block into the planes
//! progressive     scan by scan into coefficients; only scans that carry needed coefficients
//! idct            n × n coefficients into n × n samples
//! layout          positions of the blocks
//! ```
//!
//! Nothing is repaired: a code that is in no table, a block with too many coefficients or a truncated baseline scan
//! leads to a rejection. A progressive file may end in any scan except the first scan of a component, because after the
//! first scans the whole picture is there, only less sharp (`docs/adr/0033-files-as-the-field-shows-them.md`). Anything
//! after the picture is ignored, because phones put second pictures and films there.

mod bit_reader;
mod header;
mod huffman;
mod idct;
mod layout;
mod progressive;
mod sequential;
mod standard_codes;

use std::sync::Arc;

use domain::Media;

use self::bit_reader::EntropyData;
use self::header::{Header, MarkerSegment, ScanHeader, broken};
use self::layout::FrameLayout;
use crate::cancel::CancelFlag;
use crate::colour_source::ColourSource;
use crate::decoder::{DecodeContext, DecodeMemory, Decoder};
use crate::exif;
use crate::limits::Limits;
use crate::probed_picture::Probe;
use crate::raster::Raster;
use crate::rejection::Rejection;

#[derive(Debug)]
struct JpegDecoder {
    header: Header,
    /// Length of the file in bytes.
    file_length: u64,
}

/// Reads the frame header, the EXIF orientation and the positions of the profile.
pub(super) fn probe(file: &[u8], _: &Limits) -> Result<Probe, Rejection> {
    let mut header = Header::read(file)?;
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
            remedy: "save it as a baseline JPEG".into(),
        });
    }
    let size = (u32::from(frame.width), u32::from(frame.height));
    let orientation = header.exif.take().and_then(|at| file.get(at)).map(exif::orientation).unwrap_or_default();
    let icc = std::mem::take(&mut header.icc);
    let mut probe = Probe::new(Media::Jpeg, size, Arc::new(JpegDecoder { header, file_length: file.len() as u64 }));
    probe.orientation = orientation;
    probe.colours = ColourSource::Profile(icc);
    Ok(probe)
}

impl Decoder for JpegDecoder {
    fn memory_estimate(&self, n: u8) -> DecodeMemory {
        self.header.memory_estimate(n, self.file_length)
    }

    /// Decodes at `context.scale` eighths.
    fn decode(&self, file: &[u8], context: &mut DecodeContext<'_>) -> Result<Raster, Rejection> {
        let mut entropy = EntropyData::in_buffers(std::mem::take(context.buffers));
        let decoded = decode(file, &self.header, context, &mut entropy);
        *context.buffers = entropy.into_buffers();
        decoded
    }
}

/// Decodes the picture after `header`, at 1 to 6 or 8 eighths of its size.
fn decode(
    file: &[u8],
    header: &Header,
    context: &DecodeContext<'_>,
    entropy: &mut EntropyData,
) -> Result<Raster, Rejection> {
    let mut layout = FrameLayout::new(&header.frame, usize::from(context.scale))?;
    let decode_scans = match context.scale {
        1 => decode_scans::<1>,
        2 => decode_scans::<2>,
        3 => decode_scans::<3>,
        4 => decode_scans::<4>,
        5 => decode_scans::<5>,
        6 => decode_scans::<6>,
        _ => decode_scans::<8>,
    };
    decode_scans(file, header, context, entropy, &mut layout)?;
    layout.into_raster(&header.frame, header.model)
}

fn decode_scans<const N: usize>(
    file: &[u8],
    header: &Header,
    context: &DecodeContext<'_>,
    entropy: &mut EntropyData,
    layout: &mut FrameLayout,
) -> Result<(), Rejection> {
    if header.frame.is_progressive() {
        progressive::decode::<N>(file, header, context.limits, entropy, layout, context.stop)
    } else {
        decode_sequential::<N>(file, header, entropy, layout, context.stop)
    }
}

/// Decodes scan after scan, until every component is decoded.
fn decode_sequential<const N: usize>(
    file: &[u8],
    header: &Header,
    entropy: &mut EntropyData,
    layout: &mut FrameLayout,
    stop: &CancelFlag,
) -> Result<(), Rejection> {
    let frame = &header.frame;
    let mut tables = header.tables.clone();
    let mut scan = header.scan.clone();
    let mut at = header.scan_data;
    let mut missing: Vec<usize> = (0..frame.components.len()).collect();
    loop {
        at = entropy.unstuff(file, at, tables.restart_interval > 0);
        // Without this check, repeated components would mean unbounded work.
        if scan.components.iter().any(|(index, ..)| !missing.contains(index)) {
            return Err(broken("it has a colour component twice"));
        }
        sequential::decode_scan::<N>(frame, &tables, &scan, entropy, layout, stop)?;
        missing.retain(|index| scan.components.iter().all(|(seen, ..)| seen != index));
        if missing.is_empty() {
            return Ok(());
        }
        loop {
            let segment = MarkerSegment::next(file, at)?;
            at = segment.body.end;
            match segment.marker {
                0xDA => {
                    scan = ScanHeader::parse(frame, &file[segment.body])?;
                    break;
                }
                0xD9 => return Err(broken("a colour component is missing")),
                marker => tables.read_segment(marker, &file[segment.body])?,
            }
        }
    }
}

#[cfg(test)]
mod tests;
