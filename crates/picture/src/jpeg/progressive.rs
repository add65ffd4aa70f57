//! Decodes progressive scans; each adds some bits to some coefficients of all blocks.
//!
//! Two optimizations save most of the work. A scan is skipped if it neither carries a needed coefficient nor is
//! required to read one that does. For a coefficient that is not needed only one fact matters, whether it is zero,
//! because later scans are encoded in terms of it. So one bit is kept for it, 64 to a block, instead of the number.
//!
//! Rule: ITU-T T.81, annex G.

mod scan;

use std::ops::Range;

use super::bit_reader::EntropyData;
use super::header::{DecoderTables, Header, MarkerSegment, ScanHeader, broken};
use super::idct::{self, Block, DequantizationFactors};
use super::layout::{ComponentLayout, FrameLayout};
use crate::{CancelFlag, LimitKind, Limits, Rejection};

/// A scan with its tables and the position of its data.
struct ProgressiveScan {
    scan: ScanHeader,
    tables: DecoderTables,
    scan_data: usize,
}

/// The coefficients of one component.
struct CoefficientStore {
    /// N × N for each block, in the layout of [`Block`].
    wanted: Vec<i16>,
    /// For each block, which of its coefficients are not zero so far; bit k is the k-th coefficient.
    nonzero: Vec<u64>,
}

/// Decodes all scans into `layout`, whose scale is N eighths.
pub(super) fn decode<const N: usize>(
    file: &[u8],
    header: &Header,
    limits: &Limits,
    entropy: &mut EntropyData,
    layout: &mut FrameLayout,
    stop: &CancelFlag,
) -> Result<(), Rejection> {
    let frame = &header.frame;
    let parts = read_scan_headers(file, header, limits)?;
    let needed = needed_scans(&parts, idct::last_needed_coefficient(N) as u8, frame.components.len())?;
    let mut stores = Vec::with_capacity(layout.components.len());
    for sheet in &layout.components {
        let blocks = sheet.blocks_per_row * sheet.block_rows;
        stores.push(CoefficientStore { wanted: zeroed(blocks * N * N)?, nonzero: zeroed(blocks)? });
    }
    for part in parts.iter().zip(&needed).filter_map(|(part, needed)| needed.then_some(part)) {
        entropy.unstuff(file, part.scan_data, part.tables.restart_interval > 0)?;
        let reader = scan::ProgressiveScanReader::new(part)?;
        match part.scan.spectral_start {
            0 => reader.read_dc::<N>(part, entropy, layout, &mut stores, stop)?,
            _ => reader.read_ac::<N>(part, entropy, layout, &mut stores, stop)?,
        }
    }
    let last = parts.last().map(|part| &part.tables).unwrap_or(&header.tables);
    for ((sheet, store), component) in layout.components.iter_mut().zip(&stores).zip(&frame.components) {
        let table = last.quantization[usize::from(component.quantization_table)].as_ref();
        let factors = DequantizationFactors::new(N, table.ok_or_else(|| broken("a quantization table is missing"))?);
        transform_blocks::<N>(sheet, store, &factors, stop)?;
    }
    Ok(())
}

/// Allocates `length` zeros.
fn zeroed<T: Copy + Default>(length: usize) -> Result<Vec<T>, Rejection> {
    let mut out = Vec::new();
    out.try_reserve_exact(length).map_err(|_| Rejection::out_of_memory(length.saturating_mul(size_of::<T>())))?;
    out.resize(length, T::default());
    Ok(out)
}

/// Reads all scan headers of the file, up to its end-of-image marker, without reading the scans' data.
fn read_scan_headers(file: &[u8], header: &Header, limits: &Limits) -> Result<Vec<ProgressiveScan>, Rejection> {
    let mut tables = header.tables.clone();
    let mut parts =
        vec![ProgressiveScan { scan: header.scan.clone(), tables: tables.clone(), scan_data: header.scan_data }];
    let mut at = header.scan_data;
    loop {
        // Data, stuffing and restart markers are skipped, as is everything that is no segment.
        let segment = MarkerSegment::next(file, at)?;
        at = segment.body.end;
        match segment.marker {
            0xD9 => return Ok(parts),
            0xDA => {
                let scan = ScanHeader::parse(&header.frame, &file[segment.body])?;
                let count = parts.len() as u64 + 1;
                Rejection::check_limit(LimitKind::Scans, count, u64::from(limits.max_scans))?;
                parts.push(ProgressiveScan { scan, tables: tables.clone(), scan_data: at });
            }
            marker => tables.read_segment(marker, &file[segment.body])?,
        }
    }
}

/// Determines which scans have to be read for the coefficients up to `last`.
fn needed_scans(parts: &[ProgressiveScan], last: u8, components: usize) -> Result<Vec<bool>, Rejection> {
    // For each component, the coefficients whose earlier bits are required by a later scan that is needed.
    let mut history = vec![0u64; components];
    let mut needed = vec![false; parts.len()];
    for (part, needed) in parts.iter().zip(&mut needed).rev() {
        let scan = &part.scan;
        let band = bit_mask(u32::from(scan.spectral_start)..u32::from(scan.spectral_end) + 1);
        if scan.spectral_start > 0 && scan.components.len() != 1 || scan.spectral_start == 0 && scan.spectral_end > 0 {
            return Err(broken("its scan header is invalid"));
        }
        if scan.approximation_high > 0 && scan.approximation_low + 1 != scan.approximation_high {
            return Err(broken("its scans do not follow one another"));
        }
        for &(index, ..) in &scan.components {
            *needed |= scan.spectral_start <= last || history[index] & band != 0;
        }
        for &(index, ..) in scan.components.iter().filter(|_| *needed && scan.approximation_high > 0) {
            history[index] |= band;
        }
    }
    for index in 0..components {
        let first = parts.iter().find(|part| part.scan.components.iter().any(|(i, ..)| *i == index));
        if first.is_none_or(|part| part.scan.spectral_start > 0 || part.scan.approximation_high > 0) {
            return Err(broken("a colour component is missing"));
        }
    }
    Ok(needed)
}

/// A mask with the bits of a range.
#[inline(always)]
fn bit_mask(range: Range<u32>) -> u64 {
    let below = |k: u32| if k > 63 { u64::MAX } else { (1 << k) - 1 };
    below(range.end) & !below(range.start)
}

fn transform_blocks<const N: usize>(
    sheet: &mut ComponentLayout,
    store: &CoefficientStore,
    factors: &DequantizationFactors,
    stop: &CancelFlag,
) -> Result<(), Rejection> {
    let mut block: Block = [0; 256];
    for y in 0..sheet.blocks.1 {
        stop.check()?;
        for x in 0..sheet.blocks.0 {
            block[..N * N].copy_from_slice(&store.wanted[(y * sheet.blocks_per_row + x) * N * N..][..N * N]);
            sheet.put_block::<N>(x, y, &block, factors);
        }
    }
    Ok(())
}
