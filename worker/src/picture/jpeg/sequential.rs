//! Sequential scans: each block is read, transformed and forgotten.

use pulp::{Arch, Simd, WithSimd};

use super::bits::{Bits, Entropy, too_early};
use super::header::{Frame, Scan, Tables, broken};
use super::huffman::{END, Flaw, Table};
use super::idct::{self, Block, Factors};
use super::layout::Layout;
use crate::picture::{Rejection, Stop};

/// What it takes to read one component.
struct Reader<'a> {
    index: usize,
    means: &'a Table,
    coefficients: &'a Table,
    factors: Factors,
    mean: i32,
}

/// The tables a scan refers to, ready to be read by.
#[derive(Default)]
pub(super) struct Codes {
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
}

impl Codes {
    pub(super) fn new(tables: &Tables, scan: &Scan) -> Result<Self, Rejection> {
        let mut codes = Self::default();
        let missing = || broken("a Huffman table is missing");
        for &(_, dc, ac) in &scan.components {
            if codes.dc[dc].is_none() {
                codes.dc[dc] = Some(Table::new(tables.dc[dc].as_ref().ok_or_else(missing)?).for_means());
            }
            if codes.ac[ac].is_none() {
                codes.ac[ac] = Some(Table::new(tables.ac[ac].as_ref().ok_or_else(missing)?).for_coefficients());
            }
        }
        Ok(codes)
    }
}

/// Decodes one scan into `layout`, which is at N eighths.
pub(super) fn scan<const N: usize>(
    frame: &Frame,
    tables: &Tables,
    scan: &Scan,
    entropy: &Entropy,
    layout: &mut Layout,
    stop: &Stop,
) -> Result<(), Rejection> {
    let codes = Codes::new(tables, scan)?;
    let missing = || broken("a table is missing");
    let mut readers = Vec::with_capacity(scan.components.len());
    for &(index, dc, ac) in &scan.components {
        let quantization = tables.quantization[usize::from(frame.components[index].table)].as_ref();
        readers.push(Reader {
            index,
            means: codes.dc[dc].as_ref().ok_or_else(missing)?,
            coefficients: codes.ac[ac].as_ref().ok_or_else(missing)?,
            factors: Factors::new(N, quantization.ok_or_else(missing)?),
            mean: 0,
        });
    }
    let interval = if tables.restart == 0 { usize::MAX } else { usize::from(tables.restart) };
    Arch::new().dispatch(Blocks::<N> { readers, interval, entropy, layout, stop })
}

/// The blocks of a scan, to be read and written: compiled for what every processor has, and once more for AVX2 and BMI2.
struct Blocks<'a, const N: usize> {
    readers: Vec<Reader<'a>>,
    /// Units between two restart markers.
    interval: usize,
    entropy: &'a Entropy,
    layout: &'a mut Layout,
    stop: &'a Stop,
}

impl<const N: usize> WithSimd for Blocks<'_, N> {
    type Output = Result<(), Rejection>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let Self { mut readers, interval, entropy, layout, stop } = self;
        // A scan of one component has that component's blocks, one by one, without those that only fill up units.
        let alone = match &readers[..] {
            [one] => Some(one.index),
            _ => None,
        };
        let (across, down) = alone.map_or(layout.units, |index| layout.sheets[index].blocks);
        let places = idct::places(N);
        let mut block: Block = [0; 256];
        let mut bits = entropy.interval(0)?;
        let (mut left, mut intervals) = (interval, 0);
        for y in 0..down {
            stop.check()?;
            for x in 0..across {
                if left == 0 {
                    if bits.overran() {
                        return Err(too_early());
                    }
                    intervals += 1;
                    bits = entropy.interval(intervals)?;
                    left = interval;
                    readers.iter_mut().for_each(|reader| reader.mean = 0);
                }
                left -= 1;
                for reader in &mut readers {
                    let sheet = &mut layout.sheets[reader.index];
                    let (h, v) = if alone.is_some() { (1, 1) } else { sheet.per_unit };
                    for down in 0..v {
                        for right in 0..h {
                            reader.block::<N>(&mut bits, &places, &mut block)?;
                            sheet.put::<N>(x * h + right, y * v + down, &block, &reader.factors);
                        }
                    }
                }
            }
            if bits.overran() {
                return Err(too_early());
            }
        }
        Ok(())
    }
}

impl Reader<'_> {
    /// The next block's wanted coefficients; the others are read and dropped.
    #[inline(always)]
    fn block<const N: usize>(
        &mut self,
        bits: &mut Bits<'_>,
        places: &[u8; 256],
        block: &mut Block,
    ) -> Result<(), Flaw> {
        bits.refill();
        self.mean = self.mean.wrapping_add(self.means.difference(bits)?);
        block[..N * N].fill(0);
        block[0] = self.mean as i16;
        let mut k = 1;
        while k <= idct::last(N) {
            bits.ensure();
            let (moved, value) = self.coefficients.coefficient(bits)?;
            k += moved;
            // Only now is the place known; what is beyond the block lands beyond the block.
            block[usize::from(places[(k as usize).wrapping_sub(1) & 255])] = value;
        }
        match k {
            ..64 => self.coefficients.pass(bits, k),
            // Full to the last coefficient, or ended by its own mark.
            64 | END.. => Ok(()),
            _ => Err(Flaw::TooMany),
        }
    }
}
