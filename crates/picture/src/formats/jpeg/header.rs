//! Parses everything in a JPEG before its first scan, and the tables that may change between scans.
//!
//! Called by the probe, which needs sizes and the positions of the metadata, and by the decoder, which needs the
//! tables. Only the tables are copied; a profile or EXIF block is a range of the file. The work is bounded by the
//! file's length.

use std::borrow::Cow;
use std::ops::Range;

use domain::Media;

use crate::decoder::DecodeMemory;
use crate::rejection::Rejection;
use crate::zigzag::ZIGZAG;

pub(super) fn broken(why: impl Into<Cow<'static, str>>) -> Rejection {
    Rejection::broken(Media::Jpeg, why)
}

pub(super) fn truncated() -> Rejection {
    broken("it ends too early")
}

/// The frame header: the kind of JPEG, its size and its components. Rule: ITU-T T.81, B.2.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// SOF0 to SOF15, as the marker's low four bits.
    pub(super) sof_type: u8,
    pub(super) precision: u8,
    pub(super) width: u16,
    pub(super) height: u16,
    /// One, three or four.
    pub(super) components: Vec<Component>,
}

/// One component of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling factors, 1 to 4 each.
    pub(super) h: u8,
    pub(super) v: u8,
    /// The index of the quantization table, 0 to 3.
    pub(super) quantization_table: u8,
}

impl FrameHeader {
    pub(super) fn is_progressive(&self) -> bool {
        self.sof_type == 2
    }

    /// The largest sampling factors.
    pub(super) fn sampling(&self) -> (u8, u8) {
        let most = |factor: fn(&Component) -> u8| self.components.iter().map(factor).max().unwrap_or(1);
        (most(|c| c.h), most(|c| c.v))
    }
}

/// The meaning of the components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColourModel {
    Gray,
    YCbCr,
    Rgb,
    Cmyk,
    Ycck,
}

/// A Huffman table as stored in the file: the number of codes of each length, and their symbols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HuffmanSpec {
    pub(super) lengths: [u8; 16],
    pub(super) symbols: Vec<u8>,
}

/// The tables in force. Rule: ITU-T T.81, B.2.4.
#[derive(Clone, Debug, Default)]
pub(super) struct DecoderTables {
    /// In natural order.
    pub(super) quantization: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<HuffmanSpec>; 4],
    pub(super) ac: [Option<HuffmanSpec>; 4],
    /// MCUs between restart markers, 0 for none.
    pub(super) restart_interval: u16,
}

/// A scan header: the components, the coefficients, and the bits of them that the scan holds. Rule: ITU-T T.81, B.2.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScanHeader {
    /// For each component, its index in the frame and the numbers of its DC table and its AC table.
    pub(super) components: Vec<(usize, usize, usize)>,
    /// First and last coefficient, in zig-zag order.
    pub(super) spectral_start: u8,
    pub(super) spectral_end: u8,
    /// The number of low bits that are missing before this scan; 0 if it is the first scan of its
    /// coefficients.
    pub(super) approximation_high: u8,
    /// The number of low bits that are still missing after this scan.
    pub(super) approximation_low: u8,
}

/// Everything before the data of the first scan.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) frame: FrameHeader,
    pub(super) model: ColourModel,
    pub(super) exif: Option<Range<usize>>,
    /// The parts of the colour profile, in order.
    pub(super) icc: Vec<Range<usize>>,
    pub(super) tables: DecoderTables,
    pub(super) scan: ScanHeader,
    /// The position of the first scan's data.
    pub(super) scan_data: usize,
}

impl Header {
    /// Bytes of the planes decoded at `n` eighths, and bytes that are held on top of them while decoding a file of
    /// `length` bytes. The latter are for the scan without its stuffing, the tables, and for a progressive picture the
    /// needed coefficients and one bit for each other coefficient.
    pub(super) fn memory_estimate(&self, n: u8, length: u64) -> DecodeMemory {
        let (h_max, v_max) = self.frame.sampling();
        let units = u64::from(self.frame.width).div_ceil(8 * u64::from(h_max))
            * u64::from(self.frame.height).div_ceil(8 * u64::from(v_max));
        let blocks: u64 = self.frame.components.iter().map(|c| units * u64::from(c.h) * u64::from(c.v)).sum();
        let samples = u64::from(n) * u64::from(n);
        let stored = if self.frame.is_progressive() { blocks * (samples * 2 + 8) } else { 0 };
        let planes = match self.model {
            ColourModel::Gray | ColourModel::YCbCr => blocks * samples,
            // The planes of these models are interleaved in a second copy, in which each component has the size of the
            // largest.
            ColourModel::Rgb | ColourModel::Cmyk | ColourModel::Ycck => {
                2 * 4 * units * u64::from(h_max) * u64::from(v_max) * samples
            }
        };
        DecodeMemory { decoded: planes, working: stored + length + (512 << 10) }
    }

    /// Reads `file` up to the data of the first scan.
    pub(super) fn read(file: &[u8]) -> Result<Self, Rejection> {
        let mut tables = DecoderTables::default();
        let (mut frame, mut exif, mut jfif, mut adobe) = (None, None, false, None);
        let mut icc: Vec<(u8, Range<usize>)> = Vec::new();
        let mut at = 2;
        loop {
            let segment = MarkerSegment::next(file, at)?;
            at = segment.body.end;
            let body = &file[segment.body.clone()];
            match segment.marker {
                0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                    if frame.replace(FrameHeader::parse(segment.marker - 0xC0, body)?).is_some() {
                        return Err(broken("it has two frame headers"));
                    }
                }
                0xDA => {
                    let frame = frame.ok_or_else(|| broken("its frame header is missing"))?;
                    let model = colour_model(&frame, jfif, adobe)?;
                    let scan = ScanHeader::parse(&frame, body)?;
                    icc.sort_by_key(|(number, _)| *number);
                    let icc = icc.into_iter().map(|(_, range)| range).collect();
                    return Ok(Self { frame, model, exif, icc, tables, scan, scan_data: at });
                }
                0xE0 if body.starts_with(b"JFIF\0") => jfif = true,
                0xE1 if body.starts_with(b"Exif\0") && exif.is_none() => exif = Some(segment.body),
                // The first fourteen bytes are name, number and count. The rest is a part of the profile.
                0xE2 if body.starts_with(b"ICC_PROFILE\0") && body.len() > 14 => {
                    icc.push((body[12], segment.body.start + 14..segment.body.end));
                }
                0xEE if body.starts_with(b"Adobe") && body.len() >= 12 => adobe = Some(body[11]),
                0xD9 => return Err(broken("its pixels are missing")),
                marker => tables.read_segment(marker, body)?,
            }
        }
    }
}

/// A marker and its segment.
pub(super) struct MarkerSegment {
    /// The byte after 0xFF.
    pub(super) marker: u8,
    /// The content of the segment, without the two bytes of its length. Empty for a marker without a segment.
    pub(super) body: Range<usize>,
}

impl MarkerSegment {
    /// Finds the segment at or after `at`. Bytes in between that belong to no segment are skipped, as every reader
    /// does.
    pub(super) fn next(file: &[u8], at: usize) -> Result<Self, Rejection> {
        Self::next_or_end(file, at)?.ok_or_else(truncated)
    }

    /// As [`Self::next`], or None if the file ends before the end of the segment.
    pub(super) fn next_or_end(file: &[u8], mut at: usize) -> Result<Option<Self>, Rejection> {
        loop {
            let rest = file.get(at..).unwrap_or_default();
            let Some(skipped) = memchr::memchr(0xFF, rest) else { return Ok(None) };
            at += skipped;
            match file.get(at + 1) {
                None => return Ok(None),
                Some(0xFF) => at += 1,
                // Data, fill bytes or restart markers that are not needed.
                Some(0 | 1 | 0xD0..=0xD8) => at += 2,
                Some(0xD9) => return Ok(Some(Self { marker: 0xD9, body: at + 2..at + 2 })),
                Some(marker) => {
                    let length = match file.get(at + 2..at + 4) {
                        Some(two) => usize::from(two[0]) << 8 | usize::from(two[1]),
                        None => return Ok(None),
                    };
                    let body = at + 4..at + 2 + length;
                    if length < 2 {
                        return Err(broken("a segment is shorter than its own length"));
                    }
                    return Ok((body.end <= file.len()).then_some(Self { marker: *marker, body }));
                }
            }
        }
    }
}

impl FrameHeader {
    fn parse(kind: u8, body: &[u8]) -> Result<Self, Rejection> {
        let short = || broken("its frame header is too short");
        let &[precision, h1, h0, w1, w0, count, ..] = body else { return Err(short()) };
        let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        if width == 0 || height == 0 {
            // A height of zero announces a DNL segment after the scan. No encoder in use writes that, so it is
            // rejected.
            return Err(broken("its width or height is zero"));
        }
        let list = body.get(6..6 + 3 * usize::from(count)).ok_or_else(short)?;
        if !matches!(count, 1 | 3 | 4) {
            return Err(broken(format!("it has {count} colour components; 1, 3 or 4 are allowed")));
        }
        let components = list
            .as_chunks::<3>()
            .0
            .iter()
            .map(|&[id, sampling, table]| Component {
                id,
                h: sampling >> 4,
                v: sampling & 15,
                quantization_table: table,
            })
            .collect::<Vec<_>>();
        if components.iter().any(|c| !(1..=4).contains(&c.h) || !(1..=4).contains(&c.v) || c.quantization_table > 3) {
            return Err(broken("its frame header is invalid"));
        }
        Ok(Self { sof_type: kind, precision, width, height, components })
    }
}

impl ScanHeader {
    /// Parses the scan header in `body` and checks it against `frame`.
    ///
    /// If several components of the frame have the same id, each is taken once, in the order of the
    /// frame, as libjpeg-turbo does. In a sequential frame, the range of coefficients and the bits are
    /// constants. So the numbers in the file are ignored, because several phones write other
    /// numbers there.
    pub(super) fn parse(frame: &FrameHeader, body: &[u8]) -> Result<Self, Rejection> {
        let wrong = || broken("its scan header is invalid");
        let count = usize::from(*body.first().ok_or_else(wrong)?);
        let list = body.get(1..1 + 2 * count).ok_or_else(wrong)?;
        let &[start, end, bits] = body.get(1 + 2 * count..).and_then(<[u8]>::first_chunk).ok_or_else(wrong)?;
        if !(1..=4).contains(&count) {
            return Err(wrong());
        }
        let mut components: Vec<(usize, usize, usize)> = Vec::with_capacity(count);
        for &[id, tables] in list.as_chunks::<2>().0 {
            let unused = |index: usize| components.iter().all(|(other, ..)| *other != index);
            let mut indices = 0..frame.components.len();
            let index = indices.find(|i| frame.components[*i].id == id && unused(*i)).ok_or_else(wrong)?;
            if tables >> 4 > 3 || tables & 15 > 3 {
                return Err(wrong());
            }
            components.push((index, usize::from(tables >> 4), usize::from(tables & 15)));
        }
        let (start, end, bits) = if frame.is_progressive() { (start, end, bits) } else { (0, 63, 0) };
        if start > end || end > 63 || bits & 15 > 13 {
            return Err(wrong());
        }
        Ok(Self {
            components,
            spectral_start: start,
            spectral_end: end,
            approximation_high: bits >> 4,
            approximation_low: bits & 15,
        })
    }
}

impl DecoderTables {
    /// Reads a segment that changes tables; other segments are ignored.
    pub(super) fn read_segment(&mut self, marker: u8, body: &[u8]) -> Result<(), Rejection> {
        match marker {
            0xDB => self.read_quantization(body),
            0xC4 => self.read_huffman(body),
            0xDD => {
                let two = body.first_chunk().ok_or_else(|| broken("its restart interval is missing"))?;
                self.restart_interval = u16::from_be_bytes(*two);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn read_quantization(&mut self, mut body: &[u8]) -> Result<(), Rejection> {
        let wrong = || broken("its quantization tables are invalid");
        while let Some((&head, rest)) = body.split_first() {
            let wide = usize::from(head >> 4);
            let slot = self.quantization.get_mut(usize::from(head & 15)).ok_or_else(wrong)?;
            if wide > 1 || rest.len() < 64 << wide {
                return Err(wrong());
            }
            let (values, rest) = rest.split_at(64 << wide);
            let mut table = [0; 64];
            for (k, natural) in ZIGZAG.iter().enumerate() {
                table[usize::from(*natural)] = match wide {
                    0 => u16::from(values[k]),
                    _ => u16::from_be_bytes([values[2 * k], values[2 * k + 1]]),
                };
            }
            *slot = Some(table);
            body = rest;
        }
        Ok(())
    }

    fn read_huffman(&mut self, mut body: &[u8]) -> Result<(), Rejection> {
        let wrong = || broken("its Huffman tables are invalid");
        while let Some((&head, rest)) = body.split_first() {
            let (lengths, rest) = rest.split_first_chunk::<16>().ok_or_else(wrong)?;
            let count = lengths.iter().map(|many| usize::from(*many)).sum::<usize>();
            let class = match head >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(wrong()),
            };
            let slot = class.get_mut(usize::from(head & 15)).ok_or_else(wrong)?;
            // The number of codes of a length is limited by what shorter codes leave.
            let mut free_codes = 1i32;
            for many in lengths {
                free_codes = 2 * free_codes - i32::from(*many);
                if free_codes < 0 {
                    return Err(wrong());
                }
            }
            if count > 256 || rest.len() < count {
                return Err(wrong());
            }
            let (symbols, rest) = rest.split_at(count);
            *slot = Some(HuffmanSpec { lengths: *lengths, symbols: symbols.to_vec() });
            body = rest;
        }
        Ok(())
    }
}

/// Determines the meaning of the components. Three components are YCbCr if there is a JFIF segment.
/// Otherwise Adobe's segment decides, and without that segment the ids of the components. For four
/// components only Adobe's segment counts.
fn colour_model(frame: &FrameHeader, jfif: bool, adobe: Option<u8>) -> Result<ColourModel, Rejection> {
    let names: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
    Ok(match (frame.components.len(), adobe) {
        (1, _) => ColourModel::Gray,
        (3, Some(0)) if !jfif => ColourModel::Rgb,
        (3, None) if !jfif && names == *b"RGB" => ColourModel::Rgb,
        (3, _) => ColourModel::YCbCr,
        // Adobe defines 0 and 2 for four components. Other decoders treat every other number as 2.
        (4, None | Some(0)) => ColourModel::Cmyk,
        (4, Some(_)) => ColourModel::Ycck,
        _ => return Err(broken("the number of its colour components is not 1, 3 or 4")),
    })
}
