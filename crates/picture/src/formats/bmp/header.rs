//! Parses the information header of a BMP. The header exists in several versions, which differ in
//! length.
//!
//! Rules: [MS-WMF] 2.2.2 for the headers of Windows, and "Presentation Manager Programming Reference", OS/2 2.0, for
//! the two headers of OS/2. As in every viewer, fields that must have one value (planes, reserved bytes) are ignored.

use std::ops::Range;

use super::rejections::{broken, truncated, unsupported};
use crate::rejection::Rejection;

/// A BMP as described by its headers. Positions count from the start of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BmpHeader {
    /// Width and height in pixels.
    pub(crate) size: (u32, u32),
    /// Whether the first row in the file is the top row of the picture.
    pub(crate) top_down: bool,
    /// Bits per pixel: 1, 2, 4, 8, 16, 24 or 32.
    pub(crate) bits: u16,
    pub(crate) coding: Coding,
    /// The colour table; empty if the pixels are colours themselves.
    pub(crate) palette: Range<usize>,
    /// Bytes of an entry of the colour table: 3 in OS/2 1.x, 4 otherwise.
    pub(crate) palette_entry: usize,
    /// The position of the first byte after the header and the colour table.
    pub(crate) end: usize,
}

/// How the pixels are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Indices into the colour table, or 24 bits of blue, green and red.
    Plain,
    /// 16 or 32 bits, in which each mask marks the bits of a channel: red, green, blue, alpha.
    Masks([u32; 4]),
    /// Runs of one pixel value.
    RunLength,
}

/// The numbers for compression in a header. Their meaning differs between Windows and OS/2 2.x.
const UNCOMPRESSED: u32 = 0;
const RUN_LENGTH_8: u32 = 1;
const RUN_LENGTH_4: u32 = 2;
const WINDOWS_MASKS: u32 = 3;
const OS2_HUFFMAN: u32 = 3;
const WINDOWS_JPEG: u32 = 4;
const OS2_RUN_LENGTH_24: u32 = 4;
const WINDOWS_PNG: u32 = 5;
const WINDOWS_MASKS_WITH_ALPHA: u32 = 6;
const WINDOWS_CMYK: Range<u32> = 11..14;

/// Reads little-endian numbers at positions that are checked.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u16(self, at: usize) -> Result<u16, Rejection> {
        let two = self.0.get(at..).and_then(<[u8]>::first_chunk).ok_or_else(truncated)?;
        Ok(u16::from_le_bytes(*two))
    }

    fn u32(self, at: usize) -> Result<u32, Rejection> {
        let four = self.0.get(at..).and_then(<[u8]>::first_chunk).ok_or_else(truncated)?;
        Ok(u32::from_le_bytes(*four))
    }

    /// The number at `at` if the header, which ends at `end`, has it; otherwise 0.
    fn optional_u32(self, at: usize, end: usize) -> Result<u32, Rejection> {
        if at + 4 <= end { self.u32(at) } else { Ok(0) }
    }
}

impl BmpHeader {
    /// Parses the information header at `start` of `file`. `pixels` is the position of the pixels, if it is known; the
    /// colour table ends there at the latest.
    pub(crate) fn parse(file: &[u8], start: usize, pixels: Option<usize>) -> Result<Self, Rejection> {
        let fields = Fields(file);
        let length = fields.u32(start)?;
        let end = start + length.min(1 << 16) as usize;
        let (size, top_down, bits) = match length {
            12 => {
                let size = (u32::from(fields.u16(start + 4)?), u32::from(fields.u16(start + 6)?));
                (size, false, fields.u16(start + 10)?)
            }
            16..=64 | 108 | 124 => {
                // A negative height means that rows start at the top; a negative width is invalid.
                let (width, height) = (fields.u32(start + 4)?.cast_signed(), fields.u32(start + 8)?.cast_signed());
                let width = u32::try_from(width).map_err(|_| broken("its width is negative"))?;
                ((width, height.unsigned_abs()), height < 0, fields.u16(start + 14)?)
            }
            _ => return Err(broken("its header has a length that is not defined")),
        };
        let compression = fields.optional_u32(start + 16, end)?;
        let is_os2 = !matches!(length, 40 | 52 | 56 | 108 | 124);
        let (coding, masks_end) = read_coding(fields, (start, end), (compression, bits), is_os2)?;
        let palette_entry = if length == 12 { 3 } else { 4 };
        let announced = match (bits, fields.optional_u32(start + 32, end)? as usize) {
            (9.., _) => 0,
            (_, 0) => 1 << bits,
            (_, count) => count.min(1 << bits),
        };
        // Some programs announce more colours than there is room for before the pixels. Then the table ends there.
        let room = pixels.filter(|at| *at > masks_end).map_or(usize::MAX, |at| at - masks_end);
        let palette = masks_end..masks_end + (announced * palette_entry).min(room);
        Ok(Self { size, top_down, bits, coding, end: palette.end, palette, palette_entry })
    }

    /// Whether the pixels have an alpha channel, which may be zero everywhere.
    pub(crate) fn has_alpha(&self) -> bool {
        matches!(self.coding, Coding::Masks([.., alpha]) if alpha != 0)
    }

    /// Bytes from one row of uncompressed pixels to the next.
    pub(crate) fn row_bytes(&self) -> u64 {
        (u64::from(self.size.0) * u64::from(self.bits)).div_ceil(32) * 4
    }
}

/// Returns how the pixels are stored, and the end of the header with the masks that may follow it.
fn read_coding(
    fields: Fields<'_>,
    (start, end): (usize, usize),
    (compression, bits): (u32, u16),
    is_os2: bool,
) -> Result<(Coding, usize), Rejection> {
    let refuse = |what| Err(unsupported(what));
    let masks = |count: usize, end: usize| {
        let mut masks = [0; 4];
        for (i, mask) in masks.iter_mut().enumerate().take(count) {
            *mask = fields.u32(start + 40 + 4 * i)?;
        }
        check_masks(masks, bits).map(|()| (Coding::Masks(masks), end))
    };
    match (compression, bits) {
        (UNCOMPRESSED, 1 | 2 | 4 | 8 | 24) => Ok((Coding::Plain, end)),
        (UNCOMPRESSED, 16) => Ok((Coding::Masks([0x7C00, 0x03E0, 0x001F, 0]), end)),
        (UNCOMPRESSED, 32) => Ok((Coding::Masks([0xFF_0000, 0xFF00, 0xFF, 0]), end)),
        (RUN_LENGTH_8, 8) | (RUN_LENGTH_4, 4) => Ok((Coding::RunLength, end)),
        (OS2_RUN_LENGTH_24, 24) if is_os2 => Ok((Coding::RunLength, end)),
        (OS2_HUFFMAN, 1) if is_os2 => refuse("BMP with Huffman compression"),
        // A header of version 1, of 40 bytes, is followed by its masks. Later versions contain
        // them.
        (WINDOWS_MASKS, 16 | 32) if !is_os2 && end - start == 40 => masks(3, end + 12),
        (WINDOWS_MASKS_WITH_ALPHA, 16 | 32) if !is_os2 && end - start == 40 => masks(4, end + 16),
        (WINDOWS_MASKS | WINDOWS_MASKS_WITH_ALPHA, 16 | 32) if !is_os2 => masks((end - start - 40) / 4, end),
        (WINDOWS_JPEG, _) if !is_os2 => refuse("BMP that contains a JPEG"),
        (WINDOWS_PNG, _) if !is_os2 => refuse("BMP that contains a PNG"),
        (code, _) if WINDOWS_CMYK.contains(&code) => refuse("BMP with CMYK colours"),
        (UNCOMPRESSED, 64) => refuse("BMP with 64 bits per pixel"),
        _ => Err(broken("its header has an undefined combination of depth and compression")),
    }
}

/// Checks that the bits of each mask are adjacent, lie within a pixel, and that no two masks share a bit.
fn check_masks(masks: [u32; 4], bits: u16) -> Result<(), Rejection> {
    let within = |mask: u32| bits == 32 || mask >> bits == 0;
    let adjacent = |mask: u32| {
        let ones = mask >> (mask.trailing_zeros() & 31);
        ones & ones.wrapping_add(1) == 0
    };
    let mut seen = 0;
    for mask in masks {
        if !within(mask) || !adjacent(mask) || mask & seen != 0 {
            return Err(broken("the masks of its channels are invalid"));
        }
        seen |= mask;
    }
    Ok(())
}
