//! Reads the orientation of a picture from EXIF. Everything else in EXIF, such as locations, owners and thumbnails, is
//! never read and so never kept.
//!
//! The parser is tolerant, because phones, editors and messengers write EXIF with wrong lengths and
//! dangling offsets. To show a picture sideways would be worse than to ignore such errors. Nothing
//! here can fail; unreadable data means `Upright`.

use crate::orientation::Orientation;

const ORIENTATION_TAG: u16 = 0x0112;

/// Reads the orientation in `exif`: a small TIFF file, with or without the `Exif\0\0` that JPEG puts in front.
///
/// Rule: EXIF 2.32, 4.6.4.A, tag 0x0112.
pub(crate) fn orientation(exif: &[u8]) -> Orientation {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    find_orientation(tiff).unwrap_or(Orientation::Upright)
}

fn find_orientation(tiff: &[u8]) -> Option<Orientation> {
    let big = match tiff.get(..4)? {
        b"II*\0" => false,
        b"MM\0*" => true,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let two = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
    };
    let u32_at = |at: usize| {
        let four = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    };
    let directory = usize::try_from(u32_at(4)?).ok()?;
    let entries = usize::from(u16_at(directory)?);
    // If the count is too high, the reads beyond the end of the data find nothing.
    (0..entries).find_map(|i| {
        let entry = directory.checked_add(2 + 12 * i)?;
        if u16_at(entry)? != ORIENTATION_TAG {
            return None;
        }
        // SHORT is the rule; some writers use LONG, whose value fills all four bytes.
        let value = match u16_at(entry + 2)? {
            4 => u32_at(entry + 8)?,
            _ => u32::from(u16_at(entry + 8)?),
        };
        Orientation::from_exif(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiff(big: bool, entries: u16, kind: u16, value: u16) -> Vec<u8> {
        let mut out = if big { b"MM\0*\0\0\0\x08".to_vec() } else { b"II*\0\x08\0\0\0".to_vec() };
        let mut put = |v: u16| out.extend(if big { v.to_be_bytes() } else { v.to_le_bytes() });
        put(entries);
        put(ORIENTATION_TAG);
        put(kind);
        // Then follow the count, which is one, and the value, each in four bytes. A SHORT is in the first two of them.
        let count = if big { [0, 1] } else { [1, 0] };
        let value = if big && kind == 4 { [0, value] } else { [value, 0] };
        count.into_iter().chain(value).for_each(put);
        out
    }

    #[test]
    fn the_orientation_is_read_in_either_byte_order_and_from_slightly_broken_data() {
        for big in [false, true] {
            for kind in [3, 4] {
                assert_eq!(orientation(&tiff(big, 1, kind, 6)), Orientation::Rotated90);
                // The count is wrong and no next directory follows; piexif and some phones write such slightly broken
                // data.
                assert_eq!(orientation(&tiff(big, 900, kind, 8)), Orientation::Rotated270);
            }
        }
        let mut prefixed = b"Exif\0\0".to_vec();
        prefixed.extend(tiff(true, 1, 3, 3));
        assert_eq!(orientation(&prefixed), Orientation::Rotated180);
        for broken in [&b""[..], b"II*\0", b"II*\0\xFF\xFF\xFF\xFF", b"MM\0*\0\0\0\x08\0\x01", &tiff(true, 1, 3, 9)] {
            assert_eq!(orientation(broken), Orientation::Upright);
        }
    }
}
