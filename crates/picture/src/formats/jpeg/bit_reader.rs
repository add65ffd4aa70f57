//! The entropy-coded bytes of a scan, without their byte stuffing, and a reader of their bits.
//!
//! Both are designed for speed. Without the stuffing, the reader takes eight bytes at once without checking them. Zeros
//! after the end make a check per symbol unnecessary as well. [`BitReader::overran`] tells whether the reader has
//! passed the end; it is called at intervals.

use super::header::truncated;
use crate::decoder::DecodeBuffers;
use crate::rejection::Rejection;

/// Zeros after the last byte, so that eight bytes can be read at any position.
const PADDING: usize = 16;

/// The data of one scan.
#[derive(Default)]
pub(super) struct EntropyData {
    bytes: Vec<u8>,
    /// The end of each restart interval.
    ends: Vec<usize>,
}

impl EntropyData {
    /// Takes over the memory that an earlier picture used. [`Self::unstuff`] replaces its content.
    pub(super) fn in_buffers(buffers: DecodeBuffers) -> Self {
        Self { bytes: buffers.bytes, ends: buffers.positions }
    }

    /// Returns the memory, so that the next picture can use it.
    pub(super) fn into_buffers(self) -> DecodeBuffers {
        DecodeBuffers { bytes: self.bytes, positions: self.ends }
    }

    /// Reads the data that begin at `at`, up to the next marker, and returns the position of that
    /// marker. Restart markers belong to the data if `restarts` is set. The memory of earlier data
    /// is reused.
    pub(super) fn unstuff(&mut self, file: &[u8], mut at: usize, restarts: bool) -> usize {
        self.bytes.clear();
        self.ends.clear();
        self.bytes.reserve(file.len().saturating_sub(at) + PADDING);
        loop {
            let rest = file.get(at..).unwrap_or_default();
            let Some(run) = memchr::memchr(0xFF, rest) else {
                // No marker follows, so the file is truncated. All data that are needed may still be there.
                self.bytes.extend_from_slice(rest);
                at = file.len();
                break;
            };
            match rest.get(run + 1) {
                Some(0) => {
                    self.bytes.extend_from_slice(&rest[..=run]);
                    at += run + 2;
                }
                Some(0xFF) => {
                    // Fill bytes before a marker.
                    self.bytes.extend_from_slice(&rest[..run]);
                    at += run + 1;
                }
                // The numbers of restart markers are not checked. If an interval was lost, there are too few intervals,
                // so the file counts as truncated.
                Some(0xD0..=0xD7) if restarts => {
                    self.bytes.extend_from_slice(&rest[..run]);
                    self.ends.push(self.bytes.len());
                    at += run + 2;
                }
                _ => {
                    self.bytes.extend_from_slice(&rest[..run]);
                    at += run;
                    break;
                }
            }
        }
        self.ends.push(self.bytes.len());
        self.bytes.resize(self.bytes.len() + PADDING, 0);
        at
    }

    /// Whether there is a restart interval `i`.
    pub(super) fn has_interval(&self, i: usize) -> bool {
        i < self.ends.len()
    }

    /// Returns a reader for the bits of restart interval `i`.
    pub(super) fn interval(&self, i: usize) -> Result<BitReader<'_>, Rejection> {
        let end = *self.ends.get(i).ok_or_else(truncated)?;
        let at = if i == 0 { 0 } else { self.ends[i - 1] };
        Ok(BitReader { bytes: &self.bytes, position: at, buffer: 0, buffered_bits: 0, end })
    }
}

/// A reader of bits; the first bit is the highest of its byte.
///
/// It stays in registers only as long as no function that is not inlined takes a reference to it.
/// Functions that are long and rarely called therefore take [`BitReader::buffer`] by value.
#[derive(Clone, Copy)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The position of the next byte.
    position: usize,
    /// Bits that are loaded and not yet read, from the highest down.
    buffer: u64,
    /// How many bits of the buffer are valid.
    buffered_bits: u32,
    end: usize,
}

impl BitReader<'_> {
    /// Makes at least 56 bits available.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        if let Some(&[a, b, c, d, e, f, g, h]) = self.bytes.get(self.position..self.position + 8) {
            self.buffer |= u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> self.buffered_bits;
        }
        // Beyond the end there are zeros, and `position` continues to count them.
        self.position += ((63 - self.buffered_bits) >> 3) as usize;
        self.buffered_bits |= 56;
    }

    /// As [`Self::refill`], for callers that seldom need more bits; makes at least 32 bits
    /// available.
    #[inline(always)]
    pub(super) fn ensure(&mut self) {
        if self.buffered_bits < 32 {
            self.refill();
        }
    }

    /// Returns the buffered bits; the next one is the highest. At least as many are valid as [`Self::refill`] or
    /// [`Self::ensure`] made available.
    #[inline(always)]
    pub(super) fn buffered(&self) -> u64 {
        self.buffer
    }

    /// Returns the next `n` bits, 1 to 16, without removing them.
    #[inline(always)]
    pub(super) fn peek(&self, n: u32) -> usize {
        (self.buffer >> (64 - n)) as usize
    }

    /// Removes `n` bits, no more than are available.
    #[inline(always)]
    pub(super) fn drop(&mut self, n: u32) {
        self.buffer <<= n & 63;
        self.buffered_bits = self.buffered_bits.wrapping_sub(n);
    }

    /// Removes and returns the next `n` bits, 0 to 16.
    #[inline(always)]
    pub(super) fn take(&mut self, n: u32) -> u32 {
        // Two shifts, because for n = 0 a single shift would be by 64, which overflows.
        let value = (self.buffer >> 1 >> (63 - n)) as u32;
        self.drop(n);
        value
    }

    /// Whether more bits were read than there are.
    pub(super) fn overran(&self) -> bool {
        self.position * 8 > self.end * 8 + self.buffered_bits as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffing_is_removed_and_intervals_are_kept() {
        let file = b"..\x12\xFF\x00\x34\xFF\xD0\x56\xFF\xFF\xD5\x78\xFF\xDA..";
        let mut entropy = EntropyData::default();
        assert_eq!(entropy.unstuff(file, 2, true), 13);
        let mut bits = entropy.interval(0).unwrap();
        bits.refill();
        assert_eq!((bits.take(16), bits.take(8), bits.take(0), bits.overran()), (0x12FF, 0x34, 0, false));
        assert_eq!((bits.take(1), bits.overran()), (0, true), "into the next interval");
        let mut bits = entropy.interval(2).unwrap();
        bits.refill();
        assert_eq!((bits.peek(4), bits.take(8), bits.overran()), (7, 0x78, false));
        assert!(entropy.interval(3).is_err());
        assert_eq!(entropy.unstuff(b"\x01\xFF\xD0\x02", 0, false), 1, "a restart marker without a restart interval");
    }

    #[test]
    fn reading_on_beyond_the_end_gives_zeros() {
        let mut entropy = EntropyData::default();
        entropy.unstuff(b"\xFE", 0, false);
        let mut bits = entropy.interval(0).unwrap();
        bits.refill();
        assert_eq!(bits.take(8), 0xFE);
        for _ in 0..100 {
            bits.refill();
            assert_eq!(bits.take(16), 0);
        }
        assert!(bits.overran());
    }
}
