//! JPEG in: the header, and the decoder that makes no more of a picture than is needed.
//!
//! Every Huffman-coded JPEG of 8 bits, sequential and progressive, gray, colour or ink, with any sampling, at 1 to 6
//! or 8 eighths of its size. What it needs not see it passes over as fast as it can:
//!
//! ```text
//! header       sizes, tables, where the metadata lie
//! bits         a scan without its stuffing, and the bits in it
//! huffman      codes by table: symbols, whole coefficients, several unwanted ones at once
//! sequential   block by block into the planes
//! progressive  scan by scan into coefficients, those scans only that carry wanted ones
//! idct         n × n coefficients into n × n samples
//! layout       where blocks go
//! ```
//!
//! Nothing here is repaired: a code that is in no table, a block too full, a scan cut short, each is a rejection.
//! Anything after the picture is ignored, as phones put second pictures and films there.

mod bits;
pub(super) mod header;
mod huffman;
mod idct;
mod layout;
mod progressive;
mod sequential;

use self::bits::Entropy;
use self::header::{Header, Scan, Segment, broken};
use self::layout::Layout;
use super::raster::Raster;
use super::{Limits, Rejection, Stop};

/// Buffers for the next picture.
#[derive(Default)]
pub(super) struct Desk {
    entropy: Entropy,
}

/// The picture behind `header`, at `n` eighths of its size: 1 to 6, or 8.
pub(super) fn decode(
    file: &[u8],
    header: &Header,
    n: u8,
    limits: &Limits,
    desk: &mut Desk,
    stop: &Stop,
) -> Result<Raster, Rejection> {
    let mut layout = Layout::new(&header.frame, usize::from(n))?;
    match n {
        1 => scans::<1>(file, header, limits, desk, &mut layout, stop),
        2 => scans::<2>(file, header, limits, desk, &mut layout, stop),
        3 => scans::<3>(file, header, limits, desk, &mut layout, stop),
        4 => scans::<4>(file, header, limits, desk, &mut layout, stop),
        5 => scans::<5>(file, header, limits, desk, &mut layout, stop),
        6 => scans::<6>(file, header, limits, desk, &mut layout, stop),
        _ => scans::<8>(file, header, limits, desk, &mut layout, stop),
    }?;
    layout.into_raster(&header.frame, header.model)
}

fn scans<const N: usize>(
    file: &[u8],
    header: &Header,
    limits: &Limits,
    desk: &mut Desk,
    layout: &mut Layout,
    stop: &Stop,
) -> Result<(), Rejection> {
    if header.frame.is_progressive() {
        progressive::decode::<N>(file, header, limits, &mut desk.entropy, layout, stop)
    } else {
        sequential::<N>(file, header, desk, layout, stop)
    }
}

/// Scan after scan, until every component has been seen.
fn sequential<const N: usize>(
    file: &[u8],
    header: &Header,
    desk: &mut Desk,
    layout: &mut Layout,
    stop: &Stop,
) -> Result<(), Rejection> {
    let frame = &header.frame;
    let mut tables = header.tables.clone();
    let mut scan = header.scan.clone();
    let mut at = header.data;
    let mut missing: Vec<usize> = (0..frame.components.len()).collect();
    loop {
        at = desk.entropy.unstuff(file, at, tables.restart > 0)?;
        // A component that comes twice would be work without end.
        if scan.components.iter().any(|(index, ..)| !missing.contains(index)) {
            return Err(broken("it has the same component twice"));
        }
        sequential::scan::<N>(frame, &tables, &scan, &desk.entropy, layout, stop)?;
        missing.retain(|index| scan.components.iter().all(|(seen, ..)| seen != index));
        if missing.is_empty() {
            return Ok(());
        }
        loop {
            let segment = Segment::next(file, at)?;
            at = segment.body.end;
            match segment.marker {
                0xDA => {
                    scan = Scan::parse(frame, &file[segment.body])?;
                    break;
                }
                0xD9 => return Err(broken("it ends before its last component")),
                marker => tables.read(marker, &file[segment.body])?,
            }
        }
    }
}

#[cfg(test)]
mod tests;
