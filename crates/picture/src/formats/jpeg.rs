//! Reads JPEG: the header, and a decoder that decodes no more of a picture than is needed.
//!
//! Decodes every Huffman-coded JPEG of 8 bits: sequential and progressive, gray, colour or CMYK, with any sampling. It
//! decodes at 1 to 6 or 8 eighths of the size, and skips what it does not need as fast as possible:
//!
//! ```text
//! header       sizes, tables, positions of the metadata
//! bit_reader   a scan without its byte stuffing, and the bits in it
//! huffman      codes by table: symbols, whole coefficients, several unneeded ones at once
//! sequential   block by block into the planes
//! progressive  scan by scan into coefficients, only those scans that carry needed ones
//! idct         n × n coefficients into n × n samples
//! layout       positions of the blocks
//! ```
//!
//! Nothing is repaired: a code that is in no table, a block with too many coefficients or a truncated scan is a
//! rejection. Anything after the picture is ignored, because phones put second pictures and films there.

mod bit_reader;
pub(crate) mod header;
mod huffman;
mod idct;
mod layout;
mod progressive;
mod sequential;

use self::bit_reader::EntropyData;
use self::header::{Header, MarkerSegment, ScanHeader, broken};
use self::layout::FrameLayout;
use crate::cancel::CancelFlag;
use crate::limits::Limits;
use crate::raster::Raster;
use crate::rejection::Rejection;

/// Buffers that are reused for the next picture.
#[derive(Default)]
pub(crate) struct JpegScratch {
    entropy: EntropyData,
}

/// Decodes the picture after `header`, at `n` eighths of its size: 1 to 6, or 8.
pub(crate) fn decode(
    file: &[u8],
    header: &Header,
    n: u8,
    limits: &Limits,
    scratch: &mut JpegScratch,
    stop: &CancelFlag,
) -> Result<Raster, Rejection> {
    let mut layout = FrameLayout::new(&header.frame, usize::from(n))?;
    match n {
        1 => decode_scans::<1>(file, header, limits, scratch, &mut layout, stop),
        2 => decode_scans::<2>(file, header, limits, scratch, &mut layout, stop),
        3 => decode_scans::<3>(file, header, limits, scratch, &mut layout, stop),
        4 => decode_scans::<4>(file, header, limits, scratch, &mut layout, stop),
        5 => decode_scans::<5>(file, header, limits, scratch, &mut layout, stop),
        6 => decode_scans::<6>(file, header, limits, scratch, &mut layout, stop),
        _ => decode_scans::<8>(file, header, limits, scratch, &mut layout, stop),
    }?;
    layout.into_raster(&header.frame, header.model)
}

fn decode_scans<const N: usize>(
    file: &[u8],
    header: &Header,
    limits: &Limits,
    scratch: &mut JpegScratch,
    layout: &mut FrameLayout,
    stop: &CancelFlag,
) -> Result<(), Rejection> {
    if header.frame.is_progressive() {
        progressive::decode::<N>(file, header, limits, &mut scratch.entropy, layout, stop)
    } else {
        decode_sequential::<N>(file, header, scratch, layout, stop)
    }
}

/// Decodes scan after scan, until every component is decoded.
fn decode_sequential<const N: usize>(
    file: &[u8],
    header: &Header,
    scratch: &mut JpegScratch,
    layout: &mut FrameLayout,
    stop: &CancelFlag,
) -> Result<(), Rejection> {
    let frame = &header.frame;
    let mut tables = header.tables.clone();
    let mut scan = header.scan.clone();
    let mut at = header.scan_data;
    let mut missing: Vec<usize> = (0..frame.components.len()).collect();
    loop {
        at = scratch.entropy.unstuff(file, at, tables.restart_interval > 0)?;
        // Without this check, repeated components would mean unbounded work.
        if scan.components.iter().any(|(index, ..)| !missing.contains(index)) {
            return Err(broken("it has a colour component twice"));
        }
        sequential::decode_scan::<N>(frame, &tables, &scan, &scratch.entropy, layout, stop)?;
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
