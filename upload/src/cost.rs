//! What a picture costs to render, estimated from its header while its bytes pass on their way into staging.
//!
//! The api reads numbers of a header here and decodes no pixel. The worker's own limits decide what is rendered; an
//! estimate only chooses the queue, so a header that lies costs its sender and not other users: pictures that claim to be
//! large wait among heavy ones, and pictures that claim to be small are decoded as small.

use std::time::Duration;

use crate::Media;

/// The numbers of a picture's header that say what rendering costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Whether it is of the other kind of its format, which costs otherwise: a progressive JPEG, a lossless WebP.
    pub other: bool,
}

/// Nanoseconds for each pixel and for each byte of the file, measured in a release build (bench/README.md, "What a picture
/// costs").
const fn costs(media: Media, other: bool) -> (u64, u64) {
    match (media, other) {
        (Media::Jpeg, false) => (1, 6),
        (Media::Jpeg, true) => (1, 33),
        (Media::Png, _) => (6, 6),
        (Media::Gif, _) => (10, 0),
        (Media::Bmp, _) => (15, 0),
        (Media::WebP, false) => (16, 130),
        (Media::WebP, true) => (10, 13),
        _ => (0, 0),
    }
}

/// Pixels for each byte that are assumed of a picture whose header was not understood.
const PIXELS_PER_BYTE: u64 = 10;

/// About how long the first sizes of a picture take to render, on one thread. None for `look` means that the header says
/// nothing; then the number of bytes decides. Nothing is rendered of other kinds of files.
pub fn estimate(media: Media, look: Option<Look>, bytes: u64) -> Duration {
    let (pixels, other) = match look {
        Some(look) => (u64::from(look.width) * u64::from(look.height), look.other),
        None => (bytes.saturating_mul(PIXELS_PER_BYTE), true),
    };
    let (pixel, byte) = costs(media, other);
    Duration::from_nanos(pixels.saturating_mul(pixel).saturating_add(bytes.saturating_mul(byte)))
}

/// Looks for the header of a picture in bytes that pass, a piece at a time. It holds a few of them at most.
#[derive(Debug, Default)]
pub(crate) struct Looking {
    jpeg: Segments,
}

impl Looking {
    /// Looks at the next piece of a file. Of what is no JPEG, the first byte tells, and no more is looked at.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        self.jpeg.feed(piece);
    }

    /// What was found, `head` being the first bytes of the file.
    pub(crate) fn found(&self, media: Media, head: &[u8]) -> Option<Look> {
        match media {
            Media::Jpeg => self.jpeg.found,
            Media::Png => png(head),
            Media::Gif => gif(head),
            Media::Bmp => bmp(head),
            Media::WebP => webp(head),
            _ => None,
        }
    }
}

fn bytes_at<const N: usize>(head: &[u8], at: usize) -> Option<[u8; N]> {
    head.get(at..)?.first_chunk().copied()
}

fn png(head: &[u8]) -> Option<Look> {
    let (width, height) = (u32::from_be_bytes(bytes_at(head, 16)?), u32::from_be_bytes(bytes_at(head, 20)?));
    Some(Look { width, height, other: false })
}

fn gif(head: &[u8]) -> Option<Look> {
    let side = |at| bytes_at(head, at).map(|side| u32::from(u16::from_le_bytes(side)));
    Some(Look { width: side(6)?, height: side(8)?, other: false })
}

fn bmp(head: &[u8]) -> Option<Look> {
    let wide = |at| bytes_at(head, at).map(i32::from_le_bytes);
    let narrow = |at| bytes_at(head, at).map(|side| u32::from(u16::from_le_bytes(side)));
    // The header of OS/2 1.x has 12 bytes and 16-bit sizes. In the others a negative height means rows from the top.
    let (width, height) = match wide(14)? {
        12 => (narrow(18)?, narrow(20)?),
        _ => (wide(18)?.unsigned_abs(), wide(22)?.unsigned_abs()),
    };
    Some(Look { width, height, other: false })
}

/// Rule: RFC 9649. An extended file has its pixels behind other chunks: if they are beyond `head`, they are taken to be
/// lossy, which costs more.
fn webp(head: &[u8]) -> Option<Look> {
    let data = head.get(20..)?;
    match &bytes_at::<4>(head, 12)? {
        b"VP8 " => {
            let side = |at| bytes_at(data, at).map(|side| u32::from(u16::from_le_bytes(side) & 0x3FFF));
            Some(Look { width: side(6)?, height: side(8)?, other: false })
        }
        b"VP8L" => {
            let bits = u32::from_le_bytes(bytes_at(data, 1)?);
            Some(Look { width: (bits & 0x3FFF) + 1, height: (bits >> 14 & 0x3FFF) + 1, other: true })
        }
        b"VP8X" => {
            let side = |at| bytes_at(data, at).map(|[a, b, c]: [u8; 3]| u32::from_le_bytes([a, b, c, 0]) + 1);
            Some(Look { width: side(4)?, height: side(7)?, other: is_lossless(head) })
        }
        _ => None,
    }
}

/// Whether the first chunk with pixels is a lossless one.
fn is_lossless(head: &[u8]) -> bool {
    let mut at = 12;
    while let Some(&[a, b, c, d, l0, l1, l2, l3]) = head.get(at..).and_then(<[u8]>::first_chunk) {
        match &[a, b, c, d] {
            b"VP8L" => return true,
            b"VP8 " => return false,
            // A frame of an animation: its own header, then its chunk.
            b"ANMF" => at += 8 + 16,
            // Chunks begin at even places.
            _ => at += 8 + (u32::from_le_bytes([l0, l1, l2, l3]) as usize).next_multiple_of(2),
        }
    }
    false
}

/// Walks the segments of a JPEG up to its frame header, which may come behind any amount of EXIF and colour profile.
/// Rule: ITU-T T.81, annex B.
#[derive(Debug, Default)]
struct Segments {
    /// The beginning of the segment at hand: nine bytes at most.
    beginning: Vec<u8>,
    /// Bytes of it that still have to pass.
    skip: usize,
    over: bool,
    found: Option<Look>,
}

impl Segments {
    fn feed(&mut self, mut piece: &[u8]) {
        while let Some((byte, rest)) = piece.split_first().filter(|_| !self.over) {
            if self.skip > 0 {
                let passed = self.skip.min(piece.len());
                self.skip -= passed;
                piece = &piece[passed..];
                continue;
            }
            piece = rest;
            self.beginning.push(*byte);
            match *self.beginning.as_slice() {
                [0xFF] => {}
                // Any number of these may stand before a marker.
                [0xFF, 0xFF] => drop(self.beginning.pop()),
                // Markers without a segment: the start of the file, restarts.
                [0xFF, 0x01 | 0xD0..=0xD8] => self.beginning.clear(),
                [0xFF, 0xD9 | 0xDA] => self.over = true,
                [0xFF, code, high, low] if !is_frame(code) => {
                    self.skip = usize::from(u16::from_be_bytes([high, low])).saturating_sub(2);
                    self.beginning.clear();
                }
                [0xFF, code, _, _, _, h1, h0, w1, w0] => {
                    let side = |high, low| u32::from(u16::from_be_bytes([high, low]));
                    self.found = Some(Look { width: side(w1, w0), height: side(h1, h0), other: code == 0xC2 });
                    self.over = true;
                }
                [0xFF, ..] => {}
                _ => self.over = true,
            }
        }
    }
}

/// Whether the marker begins a frame header: SOF0 to SOF15, among which there are three markers of other kinds.
fn is_frame(code: u8) -> bool {
    matches!(code, 0xC0..=0xCF) && !matches!(code, 0xC4 | 0xC8 | 0xCC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(file: &[u8], piece: usize) -> Option<Look> {
        let media = Media::sniff(file)?;
        let mut looking = Looking::default();
        file.chunks(piece).for_each(|piece| looking.feed(piece));
        looking.found(media, &file[..file.len().min(crate::SNIFF_BYTES)])
    }

    #[test]
    fn the_numbers_are_found_in_every_kind_of_picture() {
        let pictures = [
            ("420.jpg", false),
            ("420-progressive.jpg", true),
            ("trailer.jpg", false),
            ("adobe-rgb.jpg", false),
            ("orientation-6.jpg", false),
            ("rgb.png", false),
            ("interlaced.png", false),
            ("plain.gif", false),
            ("24.bmp", false),
            ("top-down.bmp", false),
            ("lossy.webp", false),
            ("lossless.webp", true),
            ("alpha.webp", false),
        ];
        for (name, other) in pictures {
            let path = format!("{}/../worker/tests/pictures/{name}", env!("CARGO_MANIFEST_DIR"));
            let file = std::fs::read(path).unwrap();
            let found = look(&file, usize::MAX).unwrap_or_else(|| panic!("{name}: nothing was found"));
            assert_eq!(found.other, other, "{name}");
            assert!((16..=400).contains(&found.width) && (16..=400).contains(&found.height), "{name}: {found:?}");
            for piece in [1, 2, 3, 7, 64] {
                assert_eq!(look(&file, piece), Some(found), "{name} in pieces of {piece} bytes");
            }
        }
    }

    #[test]
    fn a_frame_header_is_found_behind_much_else() {
        let mut file = b"\xFF\xD8".to_vec();
        for _ in 0..40 {
            file.extend(b"\xFF\xE1\xFF\xFF");
            file.resize(file.len() + 0xFFFF - 2, 0xC0);
        }
        file.extend(b"\xFF\xFF\xC4\0\x04ab\xFF\xC2\0\x11\x08\x1E\0\x1E\x01\x03");
        for piece in [1, 4096, usize::MAX] {
            assert_eq!(look(&file, piece), Some(Look { width: 0x1E01, height: 0x1E00, other: true }));
        }
        assert_eq!(look(b"\xFF\xD8\xFF\xDA\0\x02\xFF\xC0\0\x11\x08\0\x01\0\x01", 3), None, "the pixels have begun");
        assert_eq!(look(b"\xFF\xD8\xFF\xE0\0\x02nonsense\xFF\xC0\0\x11\x08\0\x01\0\x01", 3), None);
        assert_eq!(look(b"\x89PNG\r\n\x1a\n\0\0", 3), None, "it ends too early");
    }

    #[test]
    fn large_pictures_of_slow_formats_are_heavy_and_photographs_are_not() {
        let routing = crate::Routing::default();
        let photograph = Look { width: 4032, height: 3024, other: false };
        let heavy = |media, look, bytes| routing.is_heavy(estimate(media, look, bytes));
        assert!(!heavy(Media::Jpeg, Some(photograph), 4 << 20));
        assert!(!heavy(Media::Png, Some(Look { width: 1920, height: 1080, other: false }), 4 << 20));
        assert!(heavy(Media::WebP, Some(Look { width: 7680, height: 7680, other: false }), 1_200_000));
        assert!(heavy(Media::Png, Some(Look { width: 10_000, height: 10_000, other: false }), 1 << 20));
        assert!(!heavy(Media::Pdf, None, u64::MAX), "nothing is rendered of it");
        assert!(!heavy(Media::Jpeg, None, 100_000));
        assert!(heavy(Media::WebP, None, 4 << 20));
    }
}
