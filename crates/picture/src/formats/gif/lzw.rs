//! The LZW compression of GIF's pixels: codes of 3 to 12 bits, each for a string that occurred before.
//!
//! Rule: GIF89a, appendix F. Most strings are short, so the entry of a code holds the first eight bytes of its string.
//! The eight bytes are written with one store. For a longer string, the entry also holds the position of the string in
//! the output.

use domain::Media;

use crate::cancel::CancelFlag;
use crate::rejection::Rejection;

/// Codes have at most 12 bits.
const MAX_ENTRIES: usize = 1 << 12;

/// The string of one code.
#[derive(Clone, Copy, Default)]
struct LzwEntry {
    /// The first eight bytes; the first one is the lowest.
    first_bytes: u64,
    length: u32,
    /// The position of the string in the output. Not set for strings of one byte, which never need it.
    position: u32,
}

impl LzwEntry {
    fn first_byte(self) -> u8 {
        self.first_bytes as u8
    }

    /// This string with one byte appended.
    fn extended(self, byte: u8) -> Self {
        let head =
            if self.length < 8 { self.first_bytes | u64::from(byte) << (8 * self.length) } else { self.first_bytes };
        Self { first_bytes: head, length: self.length + 1, position: self.position }
    }
}

/// The result of decompressing a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decompressed {
    /// Indices that were written.
    pub(super) indices: usize,
    /// Whether the stream ended with its end code, before `out` was full.
    pub(super) ended: bool,
}

/// Decompresses `blocks` until `out` is full, and ignores the rest. `size` is the number of bits of an index.
///
/// A code that is not defined makes the stream broken. In the specification an index has at least
/// two bits. For two colours, encoders also write one bit, and all decoders accept it.
pub(super) fn decompress<'a>(
    size: u8,
    blocks: impl Iterator<Item = &'a [u8]>,
    out: &mut [u8],
    stop: &CancelFlag,
) -> Result<Decompressed, Rejection> {
    let broken = |why| Rejection::broken(Media::Gif, why);
    if !(1..=8).contains(&size) {
        return Err(broken("the code size of its pixels is not one that GIF allows"));
    }
    let clear = 1usize << size;
    let mut entries = vec![LzwEntry::default(); MAX_ENTRIES];
    for (value, entry) in entries.iter_mut().enumerate().take(clear) {
        *entry = LzwEntry { first_bytes: value as u64, length: 1, position: 0 };
    }
    // The code of the next string, and the number of bits of a code.
    let (mut next, mut width) = (clear + 2, u32::from(size) + 1);
    let mut before: Option<LzwEntry> = None;
    let mut done = 0;
    let (mut buffer, mut count) = (0u64, 0u32);
    for mut block in blocks {
        stop.check()?;
        loop {
            while count <= 56
                && let Some((byte, rest)) = block.split_first()
            {
                buffer |= u64::from(*byte) << count;
                count += 8;
                block = rest;
            }
            if count < width {
                break;
            }
            while count >= width {
                let code = buffer as usize & ((1 << width) - 1);
                buffer >>= width;
                count -= width;
                if code == clear {
                    (next, width, before) = (clear + 2, u32::from(size) + 1, None);
                    continue;
                }
                if code == clear + 1 {
                    return Ok(Decompressed { indices: done, ended: true });
                }
                match before {
                    // The code may be the one that is defined by this step. Then the last byte of
                    // its string is the same as the first.
                    Some(before) if code <= next && next < MAX_ENTRIES => {
                        let byte = if code == next {
                            before.first_byte()
                        } else {
                            entries[code & (MAX_ENTRIES - 1)].first_byte()
                        };
                        entries[next] = before.extended(byte);
                        next += 1;
                        if next == 1 << width && width < 12 {
                            width += 1;
                        }
                    }
                    Some(_) if code < next => {}
                    None if code < clear => {}
                    _ => return Err(broken("its compressed pixels are damaged")),
                }
                let mut entry = entries[code & (MAX_ENTRIES - 1)];
                write_entry(entry, out, done);
                entry.position = done as u32;
                before = Some(entry);
                done += entry.length as usize;
                if done >= out.len() {
                    return Ok(Decompressed { indices: out.len(), ended: false });
                }
            }
        }
    }
    Ok(Decompressed { indices: done, ended: false })
}

/// Writes the string of `entry` to `out` from the position `done` on, as much of the string as fits.
#[inline(always)]
fn write_entry(entry: LzwEntry, out: &mut [u8], done: usize) {
    let length = entry.length as usize;
    match out.get_mut(done..done + 8) {
        // The bytes beyond the string are overwritten later.
        Some(eight) if length <= 8 => eight.copy_from_slice(&entry.first_bytes.to_le_bytes()),
        _ => write_long_entry(entry, out, done),
    }
}

/// As [`write_entry`], for long strings and for the end of the output.
#[inline(never)]
fn write_long_entry(entry: LzwEntry, out: &mut [u8], done: usize) {
    let length = (entry.length as usize).min(out.len() - done);
    if entry.length <= 8 {
        out[done..done + length].copy_from_slice(&entry.first_bytes.to_le_bytes()[..length]);
        return;
    }
    // Copies byte by byte, because the string may overlap its own copy.
    for i in 0..length {
        out[done + i] = out[entry.position as usize + i];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packs codes as they are stored, the lowest bit first.
    fn packed(codes: &[(u16, u32)]) -> Vec<u8> {
        let (mut bytes, mut buffer, mut count) = (Vec::new(), 0u64, 0);
        for (code, width) in codes {
            buffer |= u64::from(*code) << count;
            count += width;
            while count >= 8 {
                bytes.push(buffer as u8);
                buffer >>= 8;
                count -= 8;
            }
        }
        bytes.push(buffer as u8);
        bytes
    }

    fn unpacked(codes: &[(u16, u32)], pixels: usize) -> Result<Vec<u8>, Rejection> {
        let mut out = vec![9; pixels];
        // In blocks of one byte, so that codes cross block limits.
        let found = decompress(2, packed(codes).chunks(1), &mut out, &CancelFlag::new())?;
        out.truncate(found.indices);
        Ok(out)
    }

    #[test]
    fn a_code_can_be_read_in_the_step_that_defines_it() {
        // Each of the codes 6, 7 and 8 is read in the step that defines it. They stand for 11, 111 and 1111.
        let codes = [(4, 3), (1, 3), (6, 3), (7, 3), (8, 4), (0, 4), (5, 4)];
        assert_eq!(unpacked(&codes, 11).unwrap(), [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
        assert_eq!(unpacked(&codes, 8).unwrap(), [1; 8], "no more than the output holds");
        assert_eq!(unpacked(&codes, 12).unwrap(), [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0], "the end comes before the 12th");
    }

    #[test]
    fn indices_of_one_bit_are_accepted() {
        // 2 is the clear code, 3 the end code. Codes keep two bits, as in Pillow and browsers, so
        // no code is left for a longer string.
        let mut out = [9; 4];
        let codes = packed(&[(2, 2), (0, 2), (1, 2), (2, 2), (0, 2), (1, 2), (3, 2)]);
        let found = decompress(1, [&codes[..]].into_iter(), &mut out, &CancelFlag::new()).unwrap();
        assert_eq!((found, out), (Decompressed { indices: 4, ended: false }, [0, 1, 0, 1]));
        assert!(decompress(9, [&codes[..]].into_iter(), &mut out, &CancelFlag::new()).is_err());
    }

    #[test]
    fn a_clear_code_forgets_all_strings() {
        let codes = [(4, 3), (1, 3), (6, 3), (4, 3), (2, 3), (3, 3)];
        assert_eq!(unpacked(&codes, 5).unwrap(), [1, 1, 1, 2, 3]);
        assert!(unpacked(&[(4, 3), (1, 3), (6, 3), (4, 3), (6, 3)], 9).is_err());
        assert!(unpacked(&[(4, 3), (1, 3), (7, 3)], 9).is_err(), "a code that was not defined");
        assert!(unpacked(&[(4, 3), (7, 3)], 9).is_err());
    }

    #[test]
    fn long_strings_are_decompressed() {
        // Each string is one byte longer than the one before: 1 + 2 + … + 40 pixels of one colour.
        let mut codes = vec![(4, 3), (3, 3)];
        let mut width = 3;
        for code in 6..45u16 {
            codes.push((code, width));
            if u32::from(code) + 1 == 1 << width {
                width += 1;
            }
        }
        assert_eq!(unpacked(&codes, 820).unwrap(), vec![3; 820]);
    }
}
