//! Encodes baseline JPEG, 4:2:0 or gray, from planes that are 4:2:0 already.
//!
//! General encoders take RGB, convert it, and discard three quarters of the chroma again. This encoder takes the planes
//! at the size in which a JPEG stores them. It builds optimal Huffman tables, which saves five per cent of the bytes.
//! Its input comes from this program's own steps, so it meets no hostile bytes.

use pulp::{Arch, Simd, WithSimd};

use super::dct::{QuantizationFactors, forward_dct};
use super::huffman::HuffmanCode;
use crate::cancel::CancelFlag;
use crate::raster::{Colour, Plane, Raster};
use crate::rejection::Rejection;
use crate::zigzag::ZIGZAG;

/// The quantization of luma at quality 50, in natural order. Rule: ITU-T T.81, table K.1.
const LUMA_QUANTIZATION: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
];

/// The quantization of chroma at quality 50, in natural order. Rule: ITU-T T.81, table K.2.
const CHROMA_QUANTIZATION: [u8; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99,
];

/// The number of pixels up to which every symbol is counted. In a larger picture, about as many
/// evenly spread pixels are counted, and the tables are built from those counts. This bounds the
/// memory for symbols.
const MAX_COUNTED_PIXELS: usize = 2 << 20;

/// One count for each symbol that a DC difference can have: its size in bits, up to 11.
const DC_SYMBOLS: [u32; 256] = {
    let mut ones = [0; 256];
    let mut symbol = 0;
    while symbol <= 11 {
        ones[symbol] = 1;
        symbol += 1;
    }
    ones
};

/// One count for each symbol that a coefficient can have: the zeros before it and its size in bits, up to 10. Two more
/// are for end of block and sixteen zeros.
const AC_SYMBOLS: [u32; 256] = {
    let mut ones = [0; 256];
    let mut symbol = 0;
    while symbol < 256 {
        ones[symbol] = (matches!(symbol, 0x00 | 0xF0) || matches!(symbol & 15, 1..=10)) as u32;
        symbol += 1;
    }
    ones
};

/// Encodes `raster` as a JPEG file of `quality` 1 to 100, on libjpeg's scale. `raster` must be
/// gray, or YCbCr with chroma of half its size, rounded up. It must be at most 65535 pixels wide
/// and high.
pub(crate) fn jpeg(raster: &Raster, quality: u8, stop: &CancelFlag) -> Result<Vec<u8>, Rejection> {
    let tables = [scale_table(&LUMA_QUANTIZATION, quality), scale_table(&CHROMA_QUANTIZATION, quality)];
    let mut scan = ScanEncoder::new(raster, &tables);
    let rows = scan.mcu_rows();
    let row_step = (raster.width as usize * raster.height as usize).div_ceil(MAX_COUNTED_PIXELS).max(1);
    for row in (0..rows).step_by(row_step) {
        stop.check()?;
        scan.encode_mcu_row(row);
    }
    // A symbol that does not occur among the counted pixels still needs a code, so its count starts at one.
    let mut counts = if row_step > 1 { [DC_SYMBOLS, AC_SYMBOLS, DC_SYMBOLS, AC_SYMBOLS] } else { [[0; 256]; 4] };
    for token in &scan.tokens {
        let counter = &mut counts[(token >> 24) as usize & 3][(token >> 16) as usize & 255];
        *counter = counter.saturating_add(1);
    }
    let codes = counts.map(|counts| HuffmanCode::new(&counts));

    let mut out = BitWriter {
        bytes: Vec::with_capacity(raster.width as usize * raster.height as usize / 4 + 1024),
        bits: 0,
        bit_count: 0,
    };
    write_headers(&mut out.bytes, raster, &tables, &codes);
    if row_step == 1 {
        out.write_tokens(&scan.tokens, &codes);
    } else {
        scan.reset_predictions();
        for row in 0..rows {
            stop.check()?;
            scan.tokens.clear();
            scan.encode_mcu_row(row);
            out.write_tokens(&scan.tokens, &codes);
        }
    }
    Ok(out.finish())
}

fn scale_table(table: &[u8; 64], quality: u8) -> [u8; 64] {
    let quality = u32::from(quality.clamp(1, 100));
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    table.map(|value| ((u32::from(value) * percent + 50) / 100).clamp(1, 255) as u8)
}

fn write_headers(out: &mut Vec<u8>, raster: &Raster, tables: &[[u8; 64]; 2], codes: &[HuffmanCode; 4]) {
    let colours = if raster.colour == Colour::YCbCr { 3 } else { 1 };
    let used = if colours == 3 { 2 } else { 1 };
    let mut segment = |marker: u8, body: &[u8]| {
        out.extend([0xFF, marker]);
        out.extend((body.len() as u16 + 2).to_be_bytes());
        out.extend(body);
    };
    // The SOI marker has no body, so it is not written here. The end of this function inserts it at the beginning.
    segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    for (id, table) in tables.iter().enumerate().take(used) {
        let body: Vec<u8> =
            std::iter::once(id as u8).chain(ZIGZAG.iter().map(|natural| table[usize::from(*natural)])).collect();
        segment(0xDB, &body);
    }
    let mut frame = vec![8];
    frame.extend((raster.height as u16).to_be_bytes());
    frame.extend((raster.width as u16).to_be_bytes());
    frame.push(colours);
    for id in 1..=colours {
        let sampling = if colours == 3 && id == 1 { 0x22 } else { 0x11 };
        frame.extend([id, sampling, u8::from(id > 1)]);
    }
    segment(0xC0, &frame);
    for (i, code) in codes.iter().enumerate().take(2 * used) {
        let mut body = vec![((i as u8 % 2) << 4) | (i as u8 / 2)];
        body.extend(code.lengths);
        body.extend(&code.symbols);
        segment(0xC4, &body);
    }
    let mut scan = vec![colours];
    for id in 1..=colours {
        scan.extend([id, if id == 1 { 0 } else { 0x11 }]);
    }
    scan.extend([0, 63, 0]);
    segment(0xDA, &scan);
    out.splice(0..0, [0xFF, 0xD8]);
}

/// Turns blocks into symbols.
///
/// A token holds a symbol and the bits that follow it:
///
/// - bits 24 and 25: the table, 0 and 1 for the luma's DC and AC, 2 and 3 for the chroma's;
/// - bits 16 to 23: the symbol, whose low half is the number of following bits;
/// - bits 0 to 15: the following bits.
struct ScanEncoder<'a> {
    raster: &'a Raster,
    factors: [QuantizationFactors; 2],
    dc_predictions: [i16; 3],
    tokens: Vec<u32>,
}

impl<'a> ScanEncoder<'a> {
    fn new(raster: &'a Raster, tables: &[[u8; 64]; 2]) -> Self {
        let factors = [QuantizationFactors::new(&tables[0]), QuantizationFactors::new(&tables[1])];
        Self { raster, factors, dc_predictions: [0; 3], tokens: Vec::new() }
    }

    fn reset_predictions(&mut self) {
        self.dc_predictions = [0; 3];
    }

    /// Luma blocks per MCU, in each direction.
    fn mcu_side(&self) -> usize {
        if self.raster.colour == Colour::YCbCr { 2 } else { 1 }
    }

    fn mcu_rows(&self) -> usize {
        (self.raster.height as usize).div_ceil(8 * self.mcu_side())
    }

    fn encode_mcu_row(&mut self, row: usize) {
        Arch::new().dispatch(McuRow { scan: self, row });
    }
}

/// A row of MCUs to be turned into symbols. The code is compiled twice: for the instructions that
/// every processor has, and for AVX2.
struct McuRow<'a, 'b> {
    scan: &'a mut ScanEncoder<'b>,
    row: usize,
}

impl WithSimd for McuRow<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { scan, row } = self;
        let unit = scan.mcu_side();
        for column in 0..(scan.raster.width as usize).div_ceil(8 * unit) {
            for (i, plane) in scan.raster.planes.iter().enumerate().take(3) {
                let blocks = if i == 0 { unit } else { 1 };
                for y in 0..blocks {
                    for x in 0..blocks {
                        let block = read_block(plane, column * blocks + x, row * blocks + y);
                        let coefficients = forward_dct(&block, &scan.factors[usize::from(i > 0)]);
                        push_tokens(&mut scan.tokens, &coefficients, &mut scan.dc_predictions[i], 2 * u32::from(i > 0));
                    }
                }
            }
        }
    }
}

/// Reads the block at block column `x` and row `y`. Beyond the edge the last samples repeat.
#[inline(always)]
fn read_block(plane: &Plane, x: usize, y: usize) -> [[u8; 8]; 8] {
    let mut block = [[0; 8]; 8];
    for (i, eight) in block.iter_mut().enumerate() {
        let row = (y * 8 + i).min(plane.height.saturating_sub(1));
        let row_samples = plane.samples.get(row * plane.stride..).unwrap_or_default();
        let row_samples = &row_samples[..plane.width.min(row_samples.len())];
        match row_samples.get(x * 8..x * 8 + 8).and_then(|samples| samples.first_chunk()) {
            Some(samples) => *eight = *samples,
            None => {
                let edge = row_samples.last().copied().unwrap_or_default();
                *eight = std::array::from_fn(|i| row_samples.get(x * 8 + i).copied().unwrap_or(edge));
            }
        }
    }
    block
}

#[inline(always)]
fn push_tokens(tokens: &mut Vec<u32>, coefficients: &[i16; 64], dc_prediction: &mut i16, table: u32) {
    let token = |table: u32, run: u32, value: i16| {
        let size = 16 - value.unsigned_abs().leading_zeros();
        // A negative number is written as the ones' complement of its absolute value.
        let bits = (value + (value >> 15)) as u32 & ((1 << size) - 1);
        table << 24 | run << 20 | size << 16 | bits
    };
    let mut batch = [0u32; 128];
    let mut length = 0;
    let mut put = |token: u32| {
        batch[length & 127] = token;
        length += 1;
    };
    put(token(table, 0, coefficients[0] - *dc_prediction));
    *dc_prediction = coefficients[0];
    let mut before = 0;
    let mut left = nonzero_mask(coefficients) & !1;
    while left != 0 {
        let at = left.trailing_zeros();
        let mut run = at - before - 1;
        while run > 15 {
            put((table + 1) << 24 | 0xF0 << 16);
            run -= 16;
        }
        put(token(table + 1, run, coefficients[at as usize & 63]));
        before = at;
        left &= left - 1;
    }
    if before < 63 {
        put((table + 1) << 24);
    }
    tokens.extend_from_slice(&batch[..length & 127]);
}

/// One bit for each coefficient that is not zero; the first coefficient has the lowest bit.
#[inline(always)]
fn nonzero_mask(coefficients: &[i16; 64]) -> u64 {
    let mut present = 0;
    for (i, eight) in coefficients.as_chunks::<8>().0.iter().enumerate() {
        let mut ones = [0u8; 8];
        for (one, value) in ones.iter_mut().zip(eight) {
            *one = u8::from(*value != 0);
        }
        // The highest byte of the product holds the lowest bits of the eight bytes, side by side.
        present |= (u64::from_le_bytes(ones).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    present
}

/// Writes bits as bytes, with byte stuffing.
struct BitWriter {
    bytes: Vec<u8>,
    bits: u64,
    bit_count: u32,
}

impl BitWriter {
    fn write_tokens(&mut self, tokens: &[u32], codes: &[HuffmanCode; 4]) {
        for token in tokens {
            let code = codes[(token >> 24) as usize & 3].codes[(token >> 16) as usize & 255];
            let size = (token >> 16) & 15;
            self.put_bits(u64::from(code >> 5) << size | u64::from(token & 0xFFFF), (code & 31) + size);
        }
    }

    /// Appends `size` bits: at most the 16 bits of a code and the 11 bits after it.
    #[inline(always)]
    fn put_bits(&mut self, value: u64, size: u32) {
        self.bits = self.bits << size | value;
        self.bit_count += size;
        if self.bit_count >= 32 {
            self.bit_count -= 32;
            let word = (self.bits >> self.bit_count) as u32;
            // A zero has to follow each byte of 0xFF. If none of the four bytes is 0xFF, they are written at once.
            if word & 0x8080_8080 & !word.wrapping_add(0x0101_0101) == 0 {
                self.bytes.extend_from_slice(&word.to_be_bytes());
            } else {
                word.to_be_bytes().into_iter().for_each(|byte| self.put_byte(byte));
            }
        }
    }

    fn put_byte(&mut self, byte: u8) {
        self.bytes.push(byte);
        if byte == 0xFF {
            self.bytes.push(0);
        }
    }

    /// Fills the last byte with ones and appends the end-of-image marker.
    fn finish(mut self) -> Vec<u8> {
        self.bits = self.bits << 7 | 0x7F;
        self.bit_count += 7;
        while self.bit_count >= 8 {
            self.bit_count -= 8;
            self.put_byte((self.bits >> self.bit_count) as u8);
        }
        self.bytes.extend([0xFF, 0xD9]);
        self.bytes
    }
}
