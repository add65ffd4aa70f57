//! Reads one progressive scan into the stores of its components.

use super::coefficient_store::CoefficientStore;
use super::scan_list::{ProgressiveScan, bit_mask};
use crate::cancel::CancelFlag;
use crate::formats::jpeg::bit_reader::{BitReader, EntropyData};
use crate::formats::jpeg::header::{ScanHeader, broken, truncated};
use crate::formats::jpeg::huffman::{HuffmanError, HuffmanTable, extend};
use crate::formats::jpeg::idct::{self, Block};
use crate::formats::jpeg::layout::FrameLayout;
use crate::rejection::Rejection;

/// The tables and positions for reading one scan.
pub(super) struct ProgressiveScanReader {
    /// For a DC scan one table for each of its components, otherwise one table. None if only single bits are read.
    tables: Vec<Option<HuffmanTable>>,
    positions: [u8; 256],
    /// The coefficients that are kept; bit k is the k-th coefficient.
    kept_mask: u64,
}

/// The state of a scan: its bits, the MCUs left in the restart interval, and the number of coming blocks that are
/// empty. `MAY_END_EARLY` says that the data may end before the scan does, because the file was cut off in it.
struct ScanCursor<'a, const MAY_END_EARLY: bool> {
    entropy: &'a EntropyData,
    bits: BitReader<'a>,
    mcus_per_interval: usize,
    mcus_left: usize,
    interval_index: usize,
    eob_run: u32,
}

impl<'a, const MAY_END_EARLY: bool> ScanCursor<'a, MAY_END_EARLY> {
    fn new(entropy: &'a EntropyData, part: &ProgressiveScan) -> Result<Self, Rejection> {
        let restart = part.tables.restart_interval;
        let interval = if restart == 0 { usize::MAX } else { usize::from(restart) };
        Ok(Self {
            entropy,
            bits: entropy.interval(0)?,
            mcus_per_interval: interval,
            mcus_left: interval,
            interval_index: 0,
            eob_run: 0,
        })
    }

    /// Whether the data ended before the scan did, in a scan that may end early. What was read
    /// after the end of the data is not valid.
    #[inline(always)]
    fn has_ended_early(&self) -> bool {
        MAY_END_EARLY
            && (self.bits.overran() || self.mcus_left == 0 && !self.entropy.has_interval(self.interval_index + 1))
    }

    /// Prepares the next MCU and returns whether a new restart interval begins with it.
    #[inline(always)]
    fn next(&mut self) -> Result<bool, Rejection> {
        let restarts = self.mcus_left == 0;
        if restarts {
            self.check()?;
            self.interval_index += 1;
            self.bits = self.entropy.interval(self.interval_index)?;
            self.mcus_left = self.mcus_per_interval;
            self.eob_run = 0;
        }
        self.mcus_left -= 1;
        Ok(restarts)
    }

    fn check(&self) -> Result<(), Rejection> {
        if self.bits.overran() && !MAY_END_EARLY { Err(truncated()) } else { Ok(()) }
    }
}

impl ProgressiveScanReader {
    pub(super) fn new(part: &ProgressiveScan) -> Result<Self, Rejection> {
        let missing = || broken("a Huffman table is missing");
        let scan = &part.scan;
        let tables = scan.components.iter().map(|&(_, dc, ac)| match (scan.spectral_start, scan.approximation_high) {
            (0, 0) => Ok(Some(HuffmanTable::new(part.tables.dc[dc].as_ref().ok_or_else(missing)?).for_dc())),
            (0, _) => Ok(None),
            _ => Ok(Some(HuffmanTable::new(part.tables.ac[ac].as_ref().ok_or_else(missing)?))),
        });
        Ok(Self { tables: tables.collect::<Result<_, Rejection>>()?, positions: [0; 256], kept_mask: 0 })
    }

    /// Reads a DC scan, of one or several components.
    pub(super) fn read_dc<const N: usize, const MAY_END_EARLY: bool>(
        &self,
        part: &ProgressiveScan,
        entropy: &EntropyData,
        layout: &FrameLayout,
        stores: &mut [CoefficientStore],
        stop: &CancelFlag,
    ) -> Result<(), Rejection> {
        let scan = &part.scan;
        let mut cursor = ScanCursor::<MAY_END_EARLY>::new(entropy, part)?;
        let mut mean = [0i32; 4];
        let alone = match scan.components[..] {
            [(index, ..)] => Some(index),
            _ => None,
        };
        let (across, down) = alone.map_or(layout.mcus, |index| layout.components[index].blocks);
        for y in 0..down {
            stop.check()?;
            for x in 0..across {
                // Among DC scans, only a scan of single bits may end early. Beyond the end the bits
                // are 0 and change nothing.
                if cursor.has_ended_early() {
                    return Ok(());
                }
                if cursor.next()? {
                    mean = [0; 4];
                }
                for ((&(index, ..), table), mean) in scan.components.iter().zip(&self.tables).zip(&mut mean) {
                    let component = &layout.components[index];
                    let (h, v) = if alone.is_some() { (1, 1) } else { component.blocks_per_mcu };
                    for block in (0..v).flat_map(|down| (0..h).map(move |right| (down, right))) {
                        let at = ((y * v + block.0) * component.blocks_per_row + x * h + block.1) * N * N;
                        let value = &mut stores[index].wanted[at];
                        cursor.bits.refill();
                        match table {
                            Some(table) => {
                                *mean = mean.wrapping_add(table.dc_difference(&mut cursor.bits)?);
                                *value = (*mean << scan.approximation_low) as i16;
                            }
                            None => *value |= (cursor.bits.take(1) << scan.approximation_low) as i16,
                        }
                    }
                }
            }
            cursor.check()?;
        }
        Ok(())
    }

    /// Reads an AC scan, of one component. If the scan ends early, returns the component and the
    /// first block that the scan does not reach.
    pub(super) fn read_ac<const N: usize, const MAY_END_EARLY: bool>(
        mut self,
        part: &ProgressiveScan,
        entropy: &EntropyData,
        layout: &FrameLayout,
        stores: &mut [CoefficientStore],
        stop: &CancelFlag,
    ) -> Result<Option<(usize, usize)>, Rejection> {
        let scan = &part.scan;
        let (Some(&(index, ..)), Some(Some(table))) = (scan.components.first(), self.tables.pop()) else {
            return Err(broken("a Huffman table is missing"));
        };
        self.positions = idct::block_positions(N);
        self.kept_mask = (0..64).filter(|k| usize::from(self.positions[*k]) < N * N).fold(0, |seen, k| seen | 1 << k);
        let mut cursor = ScanCursor::<MAY_END_EARLY>::new(entropy, part)?;
        let component = &layout.components[index];
        let CoefficientStore { wanted, nonzero } = &mut stores[index];
        // The copy of a block into which a scan is read. It also has room for the coefficients that are not needed.
        let mut block: Block = [0; 256];
        for y in 0..component.blocks.1 {
            stop.check()?;
            for at in y * component.blocks_per_row..y * component.blocks_per_row + component.blocks.0 {
                if cursor.has_ended_early() {
                    return Ok(Some((index, at)));
                }
                cursor.next()?;
                let coefficients = &mut wanted[at * N * N..][..N * N];
                if scan.approximation_high == 0 {
                    if cursor.eob_run > 0 {
                        cursor.eob_run -= 1;
                        continue;
                    }
                    block[..N * N].copy_from_slice(coefficients);
                    let read = self.read_first_pass(&table, scan, &mut cursor, &mut block, &mut nonzero[at]);
                    if MAY_END_EARLY && cursor.bits.overran() {
                        return Ok(Some((index, at)));
                    }
                    read?;
                    coefficients.copy_from_slice(&block[..N * N]);
                } else if MAY_END_EARLY {
                    block[..N * N].copy_from_slice(coefficients);
                    let read = self.read_refinement(&table, scan, &mut cursor, &mut block[..N * N], &mut nonzero[at]);
                    if cursor.bits.overran() {
                        return Ok(Some((index, at)));
                    }
                    read?;
                    coefficients.copy_from_slice(&block[..N * N]);
                } else {
                    self.read_refinement(&table, scan, &mut cursor, coefficients, &mut nonzero[at])?;
                }
            }
            cursor.check()?;
        }
        Ok(None)
    }

    /// Reads the first bits of a band in one block.
    #[inline(always)]
    fn read_first_pass<const MAY_END_EARLY: bool>(
        &self,
        table: &HuffmanTable,
        scan: &ScanHeader,
        cursor: &mut ScanCursor<'_, MAY_END_EARLY>,
        block: &mut Block,
        nonzero: &mut u64,
    ) -> Result<(), HuffmanError> {
        let (mut k, end) = (u32::from(scan.spectral_start), u32::from(scan.spectral_end));
        while k <= end {
            let bits = &mut cursor.bits;
            bits.ensure();
            let symbol = table.symbol(bits)?;
            let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
            k += run;
            if size == 0 {
                if run < 15 {
                    cursor.eob_run = (1 << run) - 1 + bits.take(run);
                    return Ok(());
                }
                k += 1;
                continue;
            }
            if k > end {
                return Err(HuffmanError::TooManyCoefficients);
            }
            let value = extend(bits.take(size), size) << scan.approximation_low;
            block[usize::from(self.positions[k as usize & 255])] = value as i16;
            *nonzero |= 1 << (k & 63);
            k += 1;
        }
        Ok(())
    }

    /// Reads one more bit of a band in one block: for each coefficient that is not zero so far, and
    /// for those that become nonzero now.
    #[inline(always)]
    fn read_refinement<const MAY_END_EARLY: bool>(
        &self,
        table: &HuffmanTable,
        scan: &ScanHeader,
        cursor: &mut ScanCursor<'_, MAY_END_EARLY>,
        wanted: &mut [i16],
        nonzero: &mut u64,
    ) -> Result<(), HuffmanError> {
        let (mut k, end) = (u32::from(scan.spectral_start), u32::from(scan.spectral_end));
        let step = 1i16 << scan.approximation_low;
        let known = *nonzero;
        if cursor.eob_run == 0 {
            while k <= end {
                let bits = &mut cursor.bits;
                bits.ensure();
                let symbol = table.symbol(bits)?;
                let (run, size) = (u32::from(symbol >> 4), symbol & 15);
                if size == 0 && run < 15 {
                    cursor.eob_run = (1 << run) + bits.take(run);
                    break;
                }
                let value = if size == 0 || bits.take(1) == 1 { step } else { -step };
                // The coefficient is the next zero after as many zeros as the run says.
                let mut zeros = !known & bit_mask(k..end + 1);
                for _ in 0..run {
                    zeros &= zeros.wrapping_sub(1);
                }
                let position = if zeros == 0 { end + 1 } else { zeros.trailing_zeros() };
                self.refine_nonzero(bits, known & bit_mask(k..position), wanted, step);
                if size > 0 {
                    if position > end {
                        return Err(HuffmanError::TooManyCoefficients);
                    }
                    if let Some(coefficient) = wanted.get_mut(usize::from(self.positions[position as usize & 255])) {
                        *coefficient = value;
                    }
                    *nonzero |= 1 << (position & 63);
                }
                k = position + 1;
            }
        }
        if cursor.eob_run > 0 {
            cursor.eob_run -= 1;
            self.refine_nonzero(&mut cursor.bits, known & bit_mask(k..end + 1), wanted, step);
        }
        Ok(())
    }

    /// Reads one bit for each coefficient in `which`.
    #[inline(always)]
    fn refine_nonzero(&self, bits: &mut BitReader<'_>, which: u64, wanted: &mut [i16], step: i16) {
        let mut bits_left = which.count_ones();
        let mut kept_left = which & self.kept_mask;
        // The bits are in the order of the coefficients. Of the coefficients that are not kept, only the number
        // matters.
        while kept_left != 0 {
            let k = kept_left.trailing_zeros();
            let before = bits_left - (which & !bit_mask(0..k)).count_ones();
            skip_bits(bits, before);
            bits.ensure();
            bits_left -= before + 1;
            let coefficient = wanted.get_mut(usize::from(self.positions[k as usize & 255]));
            if let (1, Some(coefficient)) = (bits.take(1), coefficient)
                && *coefficient & step == 0
            {
                *coefficient = coefficient.wrapping_add(if *coefficient < 0 { -step } else { step });
            }
            kept_left &= kept_left - 1;
        }
        skip_bits(bits, bits_left);
    }
}

/// Skips up to 64 bits.
#[inline(always)]
fn skip_bits(bits: &mut BitReader<'_>, mut many: u32) {
    while many > 0 {
        bits.ensure();
        let some = many.min(32);
        bits.drop(some);
        many -= some;
    }
}
