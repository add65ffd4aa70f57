//! Decodes Huffman codes with lookup tables, indexed by the next twelve bits.
//!
//! There are three tables for one code:
//!
//! - `symbols` is the ordinary one.
//! - `coefficient_lookup` gives a symbol together with the number after it, if both fit into twelve bits. One lookup
//!   returns the value, the coefficients advanced and the bits used.
//! - `skip_lookup` tells how far to advance to skip as many whole symbols as fit, for the unneeded part of a block.
//!
//! Twelve bits are the best size. Larger tables do not stay in the first-level cache (13 bits cost
//! 6 %, 14 up to 17 %). In smaller tables too few numbers fit (10 bits cost up to 20 %).

use super::bit_reader::BitReader;
use super::header::{HuffmanSpec, broken};
use crate::rejection::Rejection;

const LOOKUP_BITS: u32 = 12;
const LOOKUP_SIZE: usize = 1 << LOOKUP_BITS;

/// How far the end of a block advances the coefficient counter. No other symbol advances it as far.
pub(super) const END_OF_BLOCK: u32 = 128;

/// A Huffman code, prepared for decoding.
pub(super) struct HuffmanTable {
    /// Symbol in the upper byte, length in the lower; 0 for codes that do not exist or are longer than the lookup's
    /// index.
    symbols: Box<[u16; LOOKUP_SIZE]>,
    /// Value in the upper half, coefficients advanced in bits 8 to 15, bits used in the lowest
    /// byte; 0 if symbol and number do not fit.
    coefficient_lookup: Box<[u32; LOOKUP_SIZE]>,
    /// Bits used in the lowest four bits, end of block in the highest, coefficients advanced in
    /// bits 8 to 14. Bits 8 to 14 are all ones if not even one symbol fits. Such an advance always
    /// leads beyond the block.
    skip_lookup: Box<[u16; LOOKUP_SIZE]>,
    /// For each length the first code beyond it, left-aligned in 16 bits, and the offset from a code to its symbol.
    long_codes: [(u32, i32); 17],
    values: Vec<u8>,
}

impl HuffmanTable {
    /// Builds the tables for `codes`, whose lengths the header's parser has checked.
    pub(super) fn new(codes: &HuffmanSpec) -> Self {
        let mut table = Self {
            symbols: zeroed(),
            coefficient_lookup: zeroed(),
            skip_lookup: zeroed(),
            long_codes: [(0, 0); 17],
            values: codes.symbols.clone(),
        };
        let (mut code, mut index) = (0u32, 0usize);
        for length in 1..=16u32 {
            let many = usize::from(codes.lengths[length as usize - 1]);
            let offset = index as i32 - code as i32;
            for symbol in codes.symbols.iter().skip(index).take(many) {
                if length <= LOOKUP_BITS {
                    let span = 1usize << (LOOKUP_BITS - length);
                    let entry = u16::from(*symbol) << 8 | length as u16;
                    table.symbols[code as usize * span..][..span].fill(entry);
                }
                code += 1;
            }
            index += many;
            table.long_codes[length as usize] = (code << (16 - length), offset);
            code <<= 1;
        }
        table
    }

    /// Fills the tables for the coefficients of sequential scans.
    pub(super) fn for_ac(mut self) -> Self {
        for window in 0..LOOKUP_SIZE {
            self.coefficient_lookup[window] = self.coefficient_entry(window, ac_advance);
        }
        for window in 0..LOOKUP_SIZE {
            self.skip_lookup[window] = self.skip_entry(window);
        }
        self
    }

    /// Fills the table for DC differences, in which the symbol is just the size of the number.
    pub(super) fn for_dc(mut self) -> Self {
        for window in 0..LOOKUP_SIZE {
            self.coefficient_lookup[window] = self.coefficient_entry(window, dc_advance);
        }
        self
    }

    fn coefficient_entry(&self, window: usize, advance: impl Fn(u32, u32) -> Option<u32>) -> u32 {
        let [symbol, length] = self.symbols[window].to_be_bytes();
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let used = u32::from(length) + size;
        match advance(run, size) {
            Some(moved) if length > 0 && used <= LOOKUP_BITS => {
                let number = (window as u32 >> (LOOKUP_BITS - used)) & ((1 << size) - 1);
                (extend(number, size) as u32) << 16 | moved << 8 | used
            }
            _ => 0,
        }
    }

    fn skip_entry(&self, window: usize) -> u16 {
        let (mut used, mut moved) = (0, 0);
        loop {
            let entry = self.coefficient_lookup[(window << used) & (LOOKUP_SIZE - 1)];
            let (by, bits) = (entry >> 8 & 255, entry & 255);
            // The bits that are shifted in are zeros, not bits of the file. So an entry that needs
            // them is not valid.
            if bits == 0 || used + bits > LOOKUP_BITS || (by != END_OF_BLOCK && moved + by > 126) {
                let moved = if used == 0 { 127 } else { moved };
                return (moved << 8 | used) as u16;
            }
            used += bits;
            if by == END_OF_BLOCK {
                return (1 << 15 | moved << 8 | used) as u16;
            }
            moved += by;
        }
    }

    /// Reads the next symbol. The reader must have at least 16 bits available.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: &mut BitReader<'_>) -> Result<u8, HuffmanError> {
        let (symbol, length) = self.find_symbol(bits.buffered())?;
        bits.drop(length);
        Ok(symbol)
    }

    /// Returns the symbol whose code is at the top of `buffered`, and the length of the code.
    #[inline(always)]
    fn find_symbol(&self, buffered: u64) -> Result<(u8, u32), HuffmanError> {
        let [symbol, length] =
            self.symbols[(buffered >> (64 - LOOKUP_BITS)) as usize & (LOOKUP_SIZE - 1)].to_be_bytes();
        if length > 0 { Ok((symbol, u32::from(length))) } else { self.find_long_symbol(buffered) }
    }

    /// As [`Self::find_symbol`], for codes that are longer than the table's index.
    #[cold]
    fn find_long_symbol(&self, buffered: u64) -> Result<(u8, u32), HuffmanError> {
        let code = (buffered >> 48) as u32;
        for length in LOOKUP_BITS + 1..=16 {
            let (beyond, offset) = self.long_codes[length as usize];
            if code < beyond {
                let index = usize::try_from((code >> (16 - length)) as i32 + offset).unwrap_or(usize::MAX);
                return self.values.get(index).map(|symbol| (*symbol, length)).ok_or(HuffmanError::UnknownCode);
            }
        }
        Err(HuffmanError::UnknownCode)
    }

    /// Looks up the next symbol together with its number; 0 if they do not fit into twelve bits. The reader must have
    /// at least 12 bits available. No bit is removed.
    #[inline(always)]
    pub(super) fn peek_coefficient(&self, bits: &BitReader<'_>) -> u32 {
        self.coefficient_lookup[bits.peek(LOOKUP_BITS) & (LOOKUP_SIZE - 1)]
    }

    /// Reads the next DC difference. The reader must have at least 32 bits available.
    #[inline(always)]
    pub(super) fn dc_difference(&self, bits: &mut BitReader<'_>) -> Result<i32, HuffmanError> {
        let entry = self.peek_coefficient(bits);
        if entry != 0 {
            bits.drop(entry & 255);
            return Ok(entry as i32 >> 16);
        }
        let (_, value, used) = self.decode_long_coefficient(bits.buffered(), dc_advance)?;
        bits.drop(used);
        Ok(value)
    }

    /// Reads the next coefficient, and returns how far the counter advances, and the value. The reader must have at
    /// least 32 bits available.
    #[inline(always)]
    pub(super) fn ac_coefficient(&self, bits: &mut BitReader<'_>) -> Result<(u32, i16), HuffmanError> {
        let entry = self.peek_coefficient(bits);
        if entry != 0 {
            bits.drop(entry & 255);
            return Ok((entry >> 8 & 255, (entry as i32 >> 16) as i16));
        }
        let (by, value, used) = self.decode_long_coefficient(bits.buffered(), ac_advance)?;
        bits.drop(used);
        Ok((by, value as i16))
    }

    /// Decodes a symbol and its number without the lookup: how far the counter advances, the value, the bits used.
    #[inline(never)]
    fn decode_long_coefficient(
        &self,
        buffered: u64,
        advance: impl Fn(u32, u32) -> Option<u32>,
    ) -> Result<(u32, i32, u32), HuffmanError> {
        let (symbol, length) = self.find_symbol(buffered)?;
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let bits = (buffered << length >> 1 >> (63 - size)) as u32;
        Ok((advance(run, size).ok_or(HuffmanError::UnknownCode)?, extend(bits, size), length + size))
    }

    /// Skips the rest of a block, from coefficient `k` on.
    #[inline(always)]
    pub(super) fn skip_block_rest(&self, bits: &mut BitReader<'_>, mut k: u32) -> Result<(), HuffmanError> {
        loop {
            bits.refill();
            // After a refill the buffer holds enough bits for four lookups of twelve bits.
            for _ in 0..4 {
                let entry = u32::from(self.skip_lookup[bits.peek(LOOKUP_BITS) & (LOOKUP_SIZE - 1)]);
                let next = k + (entry >> 8 & 127);
                if next > 63 {
                    // The block ends somewhere in these symbols, or the next symbol is long: continue one symbol at a
                    // time.
                    bits.refill();
                    let (moved, used) = self.skip_symbol(bits.buffered(), k)?;
                    bits.drop(used);
                    k += moved;
                    if k > 63 {
                        return Ok(());
                    }
                    break;
                }
                bits.drop(entry & 15);
                if entry >> 15 != 0 {
                    return Ok(());
                }
                k = next;
            }
        }
    }

    /// Returns how far the next symbol advances the counter from `k` on, and the bits used with its number.
    #[inline(never)]
    fn skip_symbol(&self, buffered: u64, k: u32) -> Result<(u32, u32), HuffmanError> {
        let (symbol, length) = self.find_symbol(buffered)?;
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let by = ac_advance(run, size).ok_or(HuffmanError::UnknownCode)?;
        if by == END_OF_BLOCK || k + by <= 64 {
            Ok((by, length + size))
        } else {
            Err(HuffmanError::TooManyCoefficients)
        }
    }
}

/// How far a coefficient's symbol advances the counter. Rule: ITU-T T.81, F.1.2.2.
fn ac_advance(run: u32, size: u32) -> Option<u32> {
    Some(match (run, size) {
        (15, 0) => 16,
        (_, 0) => END_OF_BLOCK,
        _ => run + 1,
    })
}

/// As [`ac_advance`], for a DC symbol, which is a size and nothing else.
fn dc_advance(run: u32, _size: u32) -> Option<u32> {
    (run == 0).then_some(1)
}

fn zeroed<T: Copy + Default>() -> Box<[T; LOOKUP_SIZE]> {
    vec![T::default(); LOOKUP_SIZE]
        .into_boxed_slice()
        .try_into()
        .unwrap_or_else(|_| Box::new([T::default(); LOOKUP_SIZE]))
}

/// Errors in a scan, small enough to be returned through the inner loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HuffmanError {
    /// Bits that are no code of their table.
    UnknownCode,
    /// More than 64 coefficients in a block.
    TooManyCoefficients,
}

impl From<HuffmanError> for Rejection {
    fn from(flaw: HuffmanError) -> Self {
        broken(match flaw {
            HuffmanError::UnknownCode => "it contains a code that is in no table",
            HuffmanError::TooManyCoefficients => "a block has too many coefficients",
        })
    }
}

/// Converts `size` bits to the number they stand for. Rule: ITU-T T.81, figure F.12.
#[inline(always)]
pub(super) fn extend(bits: u32, size: u32) -> i32 {
    // A value in the upper half is the number itself. A value in the lower half stands for a
    // negative number.
    let below = ((bits << 1) >> size) ^ 1;
    bits as i32 - ((((1 << size) - 1) * (below & 1)) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_the_lower_half_are_negative_numbers() {
        let all: Vec<i32> = (0..8).map(|bits| extend(bits, 3)).collect();
        assert_eq!(all, [-7, -6, -5, -4, 4, 5, 6, 7]);
        assert_eq!((extend(0, 1), extend(1, 1), extend(0, 0)), (-1, 1, 0));
        assert_eq!((extend(0, 15), extend(32_767, 15)), (-32_767, 32_767));
    }
}
