//! The scans of a progressive file: their headers, and which of them are needed.

use std::ops::Range;

use crate::formats::jpeg::header::{DecoderTables, Header, MarkerSegment, ScanHeader, broken};
use crate::limits::Limits;
use crate::rejection::{LimitKind, Rejection};

/// A scan with its tables and the position of its data.
pub(super) struct ProgressiveScan {
    pub(super) scan: ScanHeader,
    pub(super) tables: DecoderTables,
    pub(super) scan_data: usize,
    /// Whether the scan may be incomplete, because it is the last one of a file that may have been cut off.
    pub(super) may_end_early: bool,
}

impl ProgressiveScan {
    /// Whether this is the first scan of its components. Without it, no part of its components can be shown.
    pub(super) fn is_first(&self) -> bool {
        self.scan.spectral_start == 0 && self.scan.approximation_high == 0
    }
}

/// Reads all scan headers of the file, without reading the scans' data. The list ends at the
/// end-of-image marker or at the end of the file.
///
/// The last scan may be incomplete, as in other decoders: without it the picture is complete, but less sharp. The first
/// scan of a component must be complete, because without it parts of the picture would be gray.
pub(super) fn read_scan_headers(
    file: &[u8],
    header: &Header,
    limits: &Limits,
) -> Result<Vec<ProgressiveScan>, Rejection> {
    let mut tables = header.tables.clone();
    let part = |scan, tables, scan_data| ProgressiveScan { scan, tables, scan_data, may_end_early: false };
    let mut parts = vec![part(header.scan.clone(), tables.clone(), header.scan_data)];
    let mut at = header.scan_data;
    // Data, stuffing and restart markers are skipped, as is everything that is no segment.
    while let Some(segment) = MarkerSegment::next_or_end(file, at)? {
        at = segment.body.end;
        match segment.marker {
            0xD9 => break,
            0xDA => {
                let scan = ScanHeader::parse(&header.frame, &file[segment.body])?;
                let count = parts.len() as u64 + 1;
                Rejection::check_limit(LimitKind::Scans, count, u64::from(limits.max_scans))?;
                parts.push(part(scan, tables.clone(), at));
            }
            marker => tables.read_segment(marker, &file[segment.body])?,
        }
    }
    if let Some(last) = parts.last_mut() {
        last.may_end_early = !last.is_first();
    }
    Ok(parts)
}

/// Determines which scans have to be read for the coefficients up to `last`.
pub(super) fn needed_scans(parts: &[ProgressiveScan], last: u8, components: usize) -> Result<Vec<bool>, Rejection> {
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
        if first.is_none_or(|part| !part.is_first()) {
            return Err(broken("a colour component is missing"));
        }
    }
    Ok(needed)
}

/// A mask with the bits of a range.
#[inline(always)]
pub(super) fn bit_mask(range: Range<u32>) -> u64 {
    let below = |k: u32| if k > 63 { u64::MAX } else { (1 << k) - 1 };
    below(range.end) & !below(range.start)
}
