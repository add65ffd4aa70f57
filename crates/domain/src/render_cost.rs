//! Estimates what a picture costs to render, from its header, while its bytes pass on their way into staging.
//!
//! The api reads numbers of a header here and decodes no pixel. An estimate only chooses the queue, and the worker's
//! own limits decide what is rendered. So a false header harms its sender and not other users. Pictures that claim to
//! be large wait among heavy pictures, and pictures that claim to be small are decoded as small.

use std::time::Duration;

use crate::media::Media;

/// The header fields that determine the rendering cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureHeader {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Whether the picture is a progressive JPEG, which costs more than a baseline JPEG, or a lossless WebP, which
    /// costs less than a lossy WebP. False for all other formats.
    pub progressive_or_lossless: bool,
}

/// Nanoseconds for each pixel and for each byte of the file, measured in a release build (bench/README.md, "What a
/// picture costs").
const fn cost_per_pixel_and_byte(media: Media, progressive_or_lossless: bool) -> (u64, u64) {
    match (media, progressive_or_lossless) {
        (Media::Jpeg, false) => (1, 6),
        (Media::Jpeg, true) => (1, 33),
        (Media::Png, _) => (6, 6),
        (Media::Gif, _) => (10, 0),
        (Media::Bmp, _) => (8, 0),
        (Media::WebP, false) => (16, 130),
        (Media::WebP, true) => (10, 13),
        (Media::Ico, _) => (6, 6),
        _ => (0, 0),
    }
}

/// The assumed number of pixels for each byte of a picture whose header was not understood.
const PIXELS_PER_BYTE: u64 = 10;

/// The estimated time to render the first sizes of a picture, on one thread. If `header` is None,
/// because the header was not understood, the number of bytes decides. The time is zero for files
/// that are no pictures, because nothing is rendered of them.
pub fn estimate_render_time(media: Media, header: Option<PictureHeader>, bytes: u64) -> Duration {
    let (pixels, progressive_or_lossless) = match header {
        Some(header) => (u64::from(header.width) * u64::from(header.height), header.progressive_or_lossless),
        None => (bytes.saturating_mul(PIXELS_PER_BYTE), true),
    };
    let (ns_per_pixel, ns_per_byte) = cost_per_pixel_and_byte(media, progressive_or_lossless);
    Duration::from_nanos(pixels.saturating_mul(ns_per_pixel).saturating_add(bytes.saturating_mul(ns_per_byte)))
}

/// Finds the header of a picture in bytes that pass in pieces. It buffers a few bytes at most.
#[derive(Debug, Default)]
pub struct HeaderScanner {
    jpeg: JpegHeaderScanner,
}

impl HeaderScanner {
    /// Reads the next piece of a file. If the first byte shows that it is no JPEG, nothing more is read.
    pub fn feed(&mut self, piece: &[u8]) {
        self.jpeg.feed(piece);
    }

    /// The header that was found; `head` is the first bytes of the file.
    pub fn header(&self, media: Media, head: &[u8]) -> Option<PictureHeader> {
        match media {
            Media::Jpeg => self.jpeg.header,
            Media::Png => png(head),
            Media::Gif => gif(head),
            Media::Bmp => bmp(head),
            Media::WebP => webp(head),
            Media::Ico => ico(head),
            _ => None,
        }
    }
}

fn bytes_at<const N: usize>(head: &[u8], at: usize) -> Option<[u8; N]> {
    head.get(at..)?.first_chunk().copied()
}

fn png(head: &[u8]) -> Option<PictureHeader> {
    let (width, height) = (u32::from_be_bytes(bytes_at(head, 16)?), u32::from_be_bytes(bytes_at(head, 20)?));
    Some(PictureHeader { width, height, progressive_or_lossless: false })
}

fn gif(head: &[u8]) -> Option<PictureHeader> {
    let side = |at| bytes_at(head, at).map(|side| u32::from(u16::from_le_bytes(side)));
    Some(PictureHeader { width: side(6)?, height: side(8)?, progressive_or_lossless: false })
}

fn bmp(head: &[u8]) -> Option<PictureHeader> {
    let wide = |at| bytes_at(head, at).map(i32::from_le_bytes);
    let narrow = |at| bytes_at(head, at).map(|side| u32::from(u16::from_le_bytes(side)));
    // The header of OS/2 1.x has 12 bytes and 16-bit sizes. In other headers, a negative height means that the rows
    // begin at the top.
    let (width, height) = match wide(14)? {
        12 => (narrow(18)?, narrow(20)?),
        _ => (wide(18)?.unsigned_abs(), wide(22)?.unsigned_abs()),
    };
    Some(PictureHeader { width, height, progressive_or_lossless: false })
}

/// Rule: RFC 9649. An extended file has its pixels behind other chunks. If the pixels are beyond `head`, they are
/// assumed to be lossy, because lossy pixels cost more.
fn webp(head: &[u8]) -> Option<PictureHeader> {
    let data = head.get(20..)?;
    match &bytes_at::<4>(head, 12)? {
        b"VP8 " => {
            let side = |at| bytes_at(data, at).map(|side| u32::from(u16::from_le_bytes(side) & 0x3FFF));
            Some(PictureHeader { width: side(6)?, height: side(8)?, progressive_or_lossless: false })
        }
        b"VP8L" => {
            let bits = u32::from_le_bytes(bytes_at(data, 1)?);
            Some(PictureHeader {
                width: (bits & 0x3FFF) + 1,
                height: (bits >> 14 & 0x3FFF) + 1,
                progressive_or_lossless: true,
            })
        }
        b"VP8X" => {
            let side = |at| bytes_at(data, at).map(|[a, b, c]: [u8; 3]| u32::from_le_bytes([a, b, c, 0]) + 1);
            Some(PictureHeader { width: side(4)?, height: side(7)?, progressive_or_lossless: is_lossless(head) })
        }
        _ => None,
    }
}

/// Returns the size of the largest entry within `head`. A side of 0 means 256 pixels or more.
fn ico(head: &[u8]) -> Option<PictureHeader> {
    let count = usize::from(u16::from_le_bytes(bytes_at(head, 4)?));
    let side = |side: u8| if side == 0 { 256 } else { u32::from(side) };
    let entries = head.get(6..)?.as_chunks::<16>().0.iter().take(count);
    let sizes = entries.map(|&[width, height, ..]| (side(width), side(height)));
    let (width, height) = sizes.max_by_key(|(width, height)| width * height)?;
    Some(PictureHeader { width, height, progressive_or_lossless: false })
}

/// Whether the first chunk with pixels is lossless.
fn is_lossless(head: &[u8]) -> bool {
    let mut at = 12;
    while let Some(&[a, b, c, d, l0, l1, l2, l3]) = head.get(at..).and_then(<[u8]>::first_chunk) {
        match &[a, b, c, d] {
            b"VP8L" => return true,
            b"VP8 " => return false,
            // A frame of an animation: its own header, then its chunk.
            b"ANMF" => at += 8 + 16,
            // Chunks begin at even offsets.
            _ => at += 8 + (u32::from_le_bytes([l0, l1, l2, l3]) as usize).next_multiple_of(2),
        }
    }
    false
}

/// Walks the segments of a JPEG up to its frame header, which may follow any amount of EXIF and colour profile. Rule:
/// ITU-T T.81, annex B.
#[derive(Debug, Default)]
struct JpegHeaderScanner {
    /// The beginning of the current segment: nine bytes at most.
    segment_start: Vec<u8>,
    /// The number of bytes of the current segment that are still to be skipped.
    skip: usize,
    finished: bool,
    header: Option<PictureHeader>,
}

impl JpegHeaderScanner {
    fn feed(&mut self, mut piece: &[u8]) {
        while let Some((byte, rest)) = piece.split_first().filter(|_| !self.finished) {
            if self.skip > 0 {
                let passed = self.skip.min(piece.len());
                self.skip -= passed;
                piece = &piece[passed..];
                continue;
            }
            piece = rest;
            self.segment_start.push(*byte);
            match *self.segment_start.as_slice() {
                [0xFF] => {}
                // Any number of bytes 0xFF may stand before a marker.
                [0xFF, 0xFF] => drop(self.segment_start.pop()),
                // Markers without a segment: the start of the file, restarts.
                [0xFF, 0x01 | 0xD0..=0xD8] => self.segment_start.clear(),
                [0xFF, 0xD9 | 0xDA] => self.finished = true,
                [0xFF, code, high, low] if !is_frame(code) => {
                    self.skip = usize::from(u16::from_be_bytes([high, low])).saturating_sub(2);
                    self.segment_start.clear();
                }
                [0xFF, code, _, _, _, h1, h0, w1, w0] => {
                    let side = |high, low| u32::from(u16::from_be_bytes([high, low]));
                    self.header = Some(PictureHeader {
                        width: side(w1, w0),
                        height: side(h1, h0),
                        progressive_or_lossless: code == 0xC2,
                    });
                    self.finished = true;
                }
                [0xFF, ..] => {}
                _ => self.finished = true,
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

    fn scan_header(file: &[u8], piece: usize) -> Option<PictureHeader> {
        let media = Media::sniff(file)?;
        let mut scanner = HeaderScanner::default();
        file.chunks(piece).for_each(|piece| scanner.feed(piece));
        scanner.header(media, &file[..file.len().min(crate::SNIFF_BYTES)])
    }

    #[test]
    fn width_and_height_are_found_in_every_kind_of_picture() {
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
            ("icon.ico", false),
            ("icon-bmp.ico", false),
        ];
        for (name, progressive_or_lossless) in pictures {
            let path = format!("{}/../picture/tests/pictures/{name}", env!("CARGO_MANIFEST_DIR"));
            let file = std::fs::read(path).unwrap();
            let found = scan_header(&file, usize::MAX).unwrap_or_else(|| panic!("{name}: nothing was found"));
            assert_eq!(found.progressive_or_lossless, progressive_or_lossless, "{name}");
            assert!((16..=400).contains(&found.width) && (16..=400).contains(&found.height), "{name}: {found:?}");
            for piece in [1, 2, 3, 7, 64] {
                assert_eq!(scan_header(&file, piece), Some(found), "{name} in pieces of {piece} bytes");
            }
        }
    }

    #[test]
    fn a_frame_header_is_found_after_many_other_segments() {
        let mut file = b"\xFF\xD8".to_vec();
        for _ in 0..40 {
            file.extend(b"\xFF\xE1\xFF\xFF");
            file.resize(file.len() + 0xFFFF - 2, 0xC0);
        }
        file.extend(b"\xFF\xFF\xC4\0\x04ab\xFF\xC2\0\x11\x08\x1E\0\x1E\x01\x03");
        for piece in [1, 4096, usize::MAX] {
            assert_eq!(
                scan_header(&file, piece),
                Some(PictureHeader { width: 0x1E01, height: 0x1E00, progressive_or_lossless: true })
            );
        }
        assert_eq!(
            scan_header(b"\xFF\xD8\xFF\xDA\0\x02\xFF\xC0\0\x11\x08\0\x01\0\x01", 3),
            None,
            "the pixels have begun"
        );
        assert_eq!(scan_header(b"\xFF\xD8\xFF\xE0\0\x02nonsense\xFF\xC0\0\x11\x08\0\x01\0\x01", 3), None);
        assert_eq!(scan_header(b"\x89PNG\r\n\x1a\n\0\0", 3), None, "it ends too early");
    }

    #[test]
    fn large_pictures_of_slow_formats_are_heavy_and_photographs_are_not() {
        let routing = crate::Routing::default();
        let photograph = PictureHeader { width: 4032, height: 3024, progressive_or_lossless: false };
        let heavy = |media, header, bytes| routing.is_heavy(estimate_render_time(media, header, bytes));
        assert!(!heavy(Media::Jpeg, Some(photograph), 4 << 20));
        assert!(!heavy(
            Media::Png,
            Some(PictureHeader { width: 1920, height: 1080, progressive_or_lossless: false }),
            4 << 20
        ));
        assert!(heavy(
            Media::WebP,
            Some(PictureHeader { width: 7680, height: 7680, progressive_or_lossless: false }),
            1_200_000
        ));
        assert!(heavy(
            Media::Png,
            Some(PictureHeader { width: 10_000, height: 10_000, progressive_or_lossless: false }),
            1 << 20
        ));
        assert!(!heavy(Media::Pdf, None, u64::MAX), "nothing is rendered of it");
        assert!(!heavy(Media::Jpeg, None, 100_000));
        assert!(heavy(Media::WebP, None, 4 << 20));
    }
}
