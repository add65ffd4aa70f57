//! Decodes sequential scans: each block is read, transformed and not kept.

use pulp::{Arch, Simd, WithSimd};

use super::bit_reader::{BitReader, EntropyData};
use super::header::{DecoderTables, FrameHeader, ScanHeader, broken, truncated};
use super::huffman::{END_OF_BLOCK, HuffmanError, HuffmanTable};
use super::idct::{self, Block, DequantizationFactors};
use super::layout::FrameLayout;
use super::standard_codes::{standard_ac, standard_dc};
use crate::cancel::CancelFlag;
use crate::rejection::Rejection;

/// The tables and state for reading one component.
struct ComponentReader<'a> {
    index: usize,
    dc_table: &'a HuffmanTable,
    ac_table: &'a HuffmanTable,
    factors: DequantizationFactors,
    dc_prediction: i32,
}

/// The tables of a scan, prepared for decoding.
#[derive(Default)]
pub(super) struct ScanTables {
    dc: [Option<HuffmanTable>; 4],
    ac: [Option<HuffmanTable>; 4],
}

impl ScanTables {
    pub(super) fn new(tables: &DecoderTables, scan: &ScanHeader) -> Result<Self, Rejection> {
        let mut codes = Self::default();
        let missing = || broken("a Huffman table is missing");
        for &(_, dc, ac) in &scan.components {
            if codes.dc[dc].is_none() {
                let spec = tables.dc[dc].clone().or_else(|| standard_dc(dc)).ok_or_else(missing)?;
                codes.dc[dc] = Some(HuffmanTable::new(&spec).for_dc());
            }
            if codes.ac[ac].is_none() {
                let spec = tables.ac[ac].clone().or_else(|| standard_ac(ac)).ok_or_else(missing)?;
                codes.ac[ac] = Some(HuffmanTable::new(&spec).for_ac());
            }
        }
        Ok(codes)
    }
}

/// Decodes one scan into `layout`, whose scale is N eighths.
pub(super) fn decode_scan<const N: usize>(
    frame: &FrameHeader,
    tables: &DecoderTables,
    scan: &ScanHeader,
    entropy: &EntropyData,
    layout: &mut FrameLayout,
    stop: &CancelFlag,
) -> Result<(), Rejection> {
    let codes = ScanTables::new(tables, scan)?;
    let missing = || broken("a table is missing");
    let mut readers = Vec::with_capacity(scan.components.len());
    for &(index, dc, ac) in &scan.components {
        let quantization = tables.quantization[usize::from(frame.components[index].quantization_table)].as_ref();
        readers.push(ComponentReader {
            index,
            dc_table: codes.dc[dc].as_ref().ok_or_else(missing)?,
            ac_table: codes.ac[ac].as_ref().ok_or_else(missing)?,
            factors: DequantizationFactors::new(N, quantization.ok_or_else(missing)?),
            dc_prediction: 0,
        });
    }
    let interval = if tables.restart_interval == 0 { usize::MAX } else { usize::from(tables.restart_interval) };
    Arch::new().dispatch(ScanDecoder::<N> { readers, interval, entropy, layout, stop })
}

/// A scan to be decoded. The code is compiled twice: for the instructions that every processor has, and for AVX2 and
/// BMI2.
struct ScanDecoder<'a, const N: usize> {
    readers: Vec<ComponentReader<'a>>,
    /// MCUs between two restart markers.
    interval: usize,
    entropy: &'a EntropyData,
    layout: &'a mut FrameLayout,
    stop: &'a CancelFlag,
}

impl<const N: usize> WithSimd for ScanDecoder<'_, N> {
    type Output = Result<(), Rejection>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let Self { mut readers, interval, entropy, layout, stop } = self;
        // A scan of one component has the blocks of that component one by one, without the blocks
        // that only complete an MCU.
        let alone = match &readers[..] {
            [one] => Some(one.index),
            _ => None,
        };
        let (across, down) = alone.map_or(layout.mcus, |index| layout.components[index].blocks);
        let positions = idct::block_positions(N);
        let mut block: Block = [0; 256];
        let mut bits = entropy.interval(0)?;
        let (mut mcus_left, mut interval_index) = (interval, 0);
        for y in 0..down {
            stop.check()?;
            for x in 0..across {
                if mcus_left == 0 {
                    if bits.overran() {
                        return Err(truncated());
                    }
                    interval_index += 1;
                    bits = entropy.interval(interval_index)?;
                    mcus_left = interval;
                    readers.iter_mut().for_each(|reader| reader.dc_prediction = 0);
                }
                mcus_left -= 1;
                for reader in &mut readers {
                    let component = &mut layout.components[reader.index];
                    let (h, v) = if alone.is_some() { (1, 1) } else { component.blocks_per_mcu };
                    for down in 0..v {
                        for right in 0..h {
                            reader.read_block::<N>(&mut bits, &positions, &mut block)?;
                            component.put_block::<N>(x * h + right, y * v + down, &block, &reader.factors);
                        }
                    }
                }
            }
            if bits.overran() {
                return Err(truncated());
            }
        }
        Ok(())
    }
}

impl ComponentReader<'_> {
    /// Reads the next block and keeps its needed coefficients; the others are dropped.
    #[inline(always)]
    fn read_block<const N: usize>(
        &mut self,
        bits: &mut BitReader<'_>,
        positions: &[u8; 256],
        block: &mut Block,
    ) -> Result<(), HuffmanError> {
        bits.refill();
        self.dc_prediction = self.dc_prediction.wrapping_add(self.dc_table.dc_difference(bits)?);
        block[..N * N].fill(0);
        block[0] = self.dc_prediction as i16;
        let mut k = 1;
        while k <= idct::last_needed_coefficient(N) {
            bits.ensure();
            let (moved, value) = self.ac_table.ac_coefficient(bits)?;
            k += moved;
            // The position is known only now. A coefficient whose position is outside the needed part, or even outside
            // the block, is written to the space behind the needed part.
            block[usize::from(positions[(k as usize).wrapping_sub(1) & 255])] = value;
        }
        match k {
            ..64 => self.ac_table.skip_block_rest(bits, k),
            // The block is full, or its end-of-block code was read.
            64 | END_OF_BLOCK.. => Ok(()),
            _ => Err(HuffmanError::TooManyCoefficients),
        }
    }
}
