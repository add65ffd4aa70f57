//! Transforms coefficients to samples, with one to six or eight samples per block and direction.
//!
//! An n-point inverse transform of the n × n lowest frequencies shrinks the block to n × n. This is the best possible
//! result, because the omitted frequencies are finer than the new samples. The transforms loop over all columns, which
//! the compiler turns into vector instructions.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

/// The needed part of a block in rows of N, followed by space for the coefficients that are not needed.
pub(super) type Block = [i16; 256];

/// The factors that the needed coefficients are multiplied by.
pub(super) struct DequantizationFactors {
    /// In the layout of [`Block`].
    factors: [f32; 64],
    /// The first entry of the quantization table. The transform of one point uses it, because that transform calculates
    /// with whole numbers.
    dc: i32,
}

/// cos(kπ/16)·√2, and 1 for DC: part of the factors of the eight-point transform.
const SCALE: [f32; 8] = [1.0, 1.387_039_8, 1.306_562_9, 1.175_875_6, 1.0, 0.785_694_96, 0.541_196_1, 0.275_899_38];

impl DequantizationFactors {
    /// Computes the factors for `n` points and a quantization table in natural order.
    pub(super) fn new(n: usize, table: &[u16; 64]) -> Self {
        let mut all = [0.0; 64];
        for row in 0..n {
            for column in 0..n {
                let scale = match n {
                    8 => SCALE[row] * SCALE[column] / 8.0,
                    // The orthonormal transform, times n/8.
                    _ => {
                        [frequency_weight(n, row), frequency_weight(n, column)].iter().product::<f32>() * n as f32 / 8.0
                    }
                };
                all[row * n + column] = f32::from(table[row * 8 + column]) * scale;
            }
        }
        Self { factors: all, dc: i32::from(table[0]) }
    }
}

/// The weight of frequency `k` in an orthonormal transform of `n` points.
fn frequency_weight(n: usize, k: usize) -> f32 {
    ((if k == 0 { 1.0 } else { 2.0 }) / n as f32).sqrt()
}

/// The position of the k-th coefficient in zig-zag order in a [`Block`] of `n` × `n`. Coefficients that are not needed
/// have positions beyond the needed part.
pub(super) fn block_positions(n: usize) -> [u8; 256] {
    let mut positions = [255; 256];
    for (position, natural) in positions.iter_mut().zip(crate::zigzag::ZIGZAG) {
        let (row, column) = (usize::from(natural / 8), usize::from(natural % 8));
        if row < n && column < n {
            *position = (row * n + column) as u8;
        }
    }
    positions
}

/// The last needed coefficient in zig-zag order.
pub(super) fn last_needed_coefficient(n: usize) -> u32 {
    match n {
        1 => 0,
        2 => 4,
        3 => 12,
        4 => 24,
        5 => 39,
        6 => 51,
        _ => 63,
    }
}

/// Writes the N × N samples of `block` to `out`, rows `stride` apart. `out` is long enough for N rows.
#[inline(always)]
pub(super) fn write_block<const N: usize>(
    block: &Block,
    factors: &DequantizationFactors,
    out: &mut [u8],
    stride: usize,
) {
    match N {
        1 => {
            // As in libjpeg: the DC value divided by eight, rounded to the nearest.
            let mean = (i32::from(block[0]) * factors.dc + 4) >> 3;
            if let Some(out) = out.first_mut() {
                *out = (mean + 128).clamp(0, 255) as u8;
            }
        }
        2 => idct_2(block, &factors.factors, out, stride),
        3 => transform_both(dequantize(block, factors), idct_3, out, stride),
        4 => transform_both(dequantize(block, factors), idct_4, out, stride),
        5 => transform_both(dequantize(block, factors), idct_5, out, stride),
        6 => transform_both(dequantize(block, factors), idct_6, out, stride),
        _ if block[1..64].iter().fold(0, |any, value| any | value) == 0 => {
            fill_block(to_sample(f32::from(block[0]) * factors.factors[0]), out, stride);
        }
        _ => transform_both(dequantize(block, factors), idct_8, out, stride),
    }
}

#[inline(always)]
fn dequantize<const N: usize>(block: &Block, factors: &DequantizationFactors) -> [[f32; N]; N] {
    let mut out = [[0.0; N]; N];
    for (row, out) in out.iter_mut().enumerate() {
        for (column, out) in out.iter_mut().enumerate() {
            *out = f32::from(block[row * N + column]) * factors.factors[row * N + column];
        }
    }
    out
}

/// Transforms the columns, then the rows, and writes the samples.
#[inline(always)]
fn transform_both<const N: usize>(
    mut values: [[f32; N]; N],
    transform_columns: impl Fn(&mut [[f32; N]; N]),
    out: &mut [u8],
    stride: usize,
) {
    transform_columns(&mut values);
    let mut turned = transposed(&values);
    transform_columns(&mut turned);
    put_samples(&transposed(&turned), out, stride);
}

/// Converts a value around zero to a sample: the nearest whole number, 0 to 255.
#[inline(always)]
fn to_sample(value: f32) -> u8 {
    // Adding 1.5 · 2^23 leaves a float whose low bits are the nearest whole number.
    ((value + 128.0).clamp(0.0, 255.0) + 12_582_912.0).to_bits() as u8
}

#[inline(always)]
fn put_samples<const N: usize>(values: &[[f32; N]; N], out: &mut [u8], stride: usize) {
    for (y, row) in values.iter().enumerate() {
        if let Some(out) = out.get_mut(y * stride..y * stride + N) {
            for (out, value) in out.iter_mut().zip(row) {
                *out = to_sample(*value);
            }
        }
    }
}

#[inline(always)]
fn idct_2(block: &Block, factors: &[f32; 64], out: &mut [u8], stride: usize) {
    let [a, b, c, d]: [f32; 4] = std::array::from_fn(|i| f32::from(block[i]) * factors[i]);
    // The factors hold the weights 1/2 and 1; the cosines are √½ in each direction.
    let (b, c, d) = (b * FRAC_1_SQRT_2, c * FRAC_1_SQRT_2, d * 0.5);
    let (left, right, down_left, down_right) = (a + b, a - b, c + d, c - d);
    put_samples(&[[left + down_left, right + down_right], [left - down_left, right - down_right]], out, stride);
}

#[inline(always)]
fn transposed<const N: usize>(rows: &[[f32; N]; N]) -> [[f32; N]; N] {
    let mut out = [[0.0; N]; N];
    for (y, row) in rows.iter().enumerate() {
        for (x, value) in row.iter().enumerate() {
            out[x][y] = *value;
        }
    }
    out
}

/// Transforms three points of every column.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "`i` is a column, and each iteration indexes all three rows with it")]
fn idct_3(c: &mut [[f32; 3]; 3]) {
    for i in 0..3 {
        let even = c[0][i] + c[2][i] * 0.5;
        let odd = c[1][i] * 0.866_025_4;
        let middle = c[0][i] - c[2][i];
        (c[0][i], c[1][i], c[2][i]) = (even + odd, middle, even - odd);
    }
}

/// Transforms four points of every column.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "`i` is a column, and each iteration indexes all four rows with it")]
fn idct_4(c: &mut [[f32; 4]; 4]) {
    for i in 0..4 {
        let turned = c[2][i] * FRAC_1_SQRT_2;
        let (even0, even1) = (c[0][i] + turned, c[0][i] - turned);
        let odd0 = c[1][i] * 0.923_879_5 + c[3][i] * 0.382_683_43;
        let odd1 = c[1][i] * 0.382_683_43 - c[3][i] * 0.923_879_5;
        c[0][i] = even0 + odd0;
        c[1][i] = even1 + odd1;
        c[2][i] = even1 - odd1;
        c[3][i] = even0 - odd0;
    }
}

/// Transforms five points of every column.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "`i` is a column, and each iteration indexes all five rows with it")]
fn idct_5(c: &mut [[f32; 5]; 5]) {
    for i in 0..5 {
        let even0 = c[0][i] + c[2][i] * 0.809_017 + c[4][i] * 0.309_017;
        let even1 = c[0][i] - c[2][i] * 0.309_017 - c[4][i] * 0.809_017;
        let middle = c[0][i] - c[2][i] + c[4][i];
        let odd0 = c[1][i] * 0.951_056_5 + c[3][i] * 0.587_785_25;
        let odd1 = c[1][i] * 0.587_785_25 - c[3][i] * 0.951_056_5;
        c[0][i] = even0 + odd0;
        c[1][i] = even1 + odd1;
        c[2][i] = middle;
        c[3][i] = even1 - odd1;
        c[4][i] = even0 - odd0;
    }
}

/// Transforms six points of every column.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "`i` is a column, and each iteration indexes all six rows with it")]
fn idct_6(c: &mut [[f32; 6]; 6]) {
    for i in 0..6 {
        let (mean, turned) = (c[0][i] + c[4][i] * 0.5, c[2][i] * 0.866_025_4);
        let (even0, even1, even2) = (mean + turned, c[0][i] - c[4][i], mean - turned);
        let middle = c[3][i] * FRAC_1_SQRT_2;
        let odd0 = c[1][i] * 0.965_925_8 + middle + c[5][i] * 0.258_819_04;
        let odd1 = (c[1][i] - c[3][i] - c[5][i]) * FRAC_1_SQRT_2;
        let odd2 = c[1][i] * 0.258_819_04 - middle + c[5][i] * 0.965_925_8;
        c[0][i] = even0 + odd0;
        c[1][i] = even1 + odd1;
        c[2][i] = even2 + odd2;
        c[3][i] = even2 - odd2;
        c[4][i] = even1 - odd1;
        c[5][i] = even0 - odd0;
    }
}

/// Transforms eight points of every column, by Arai, Agui and Nakajima; the scaling is part of the factors.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "`i` is a column, and each iteration indexes all eight rows with it")]
fn idct_8(c: &mut [[f32; 8]; 8]) {
    for i in 0..8 {
        let (even0, even1) = (c[0][i] + c[4][i], c[0][i] - c[4][i]);
        let even3 = c[2][i] + c[6][i];
        let even2 = (c[2][i] - c[6][i]) * SQRT_2 - even3;
        let (e0, e3) = (even0 + even3, even0 - even3);
        let (e1, e2) = (even1 + even2, even1 - even2);

        let (z13, z10) = (c[5][i] + c[3][i], c[5][i] - c[3][i]);
        let (z11, z12) = (c[1][i] + c[7][i], c[1][i] - c[7][i]);
        let o7 = z11 + z13;
        let z5 = (z10 + z12) * 1.847_759_1;
        let o6 = z5 - z10 * 2.613_125_9 - o7;
        let o5 = (z11 - z13) * SQRT_2 - o6;
        let o4 = z5 - z12 * 1.082_392_2 - o5;
        c[0][i] = e0 + o7;
        c[1][i] = e1 + o6;
        c[2][i] = e2 + o5;
        c[3][i] = e3 + o4;
        c[4][i] = e3 - o4;
        c[5][i] = e2 - o5;
        c[6][i] = e1 - o6;
        c[7][i] = e0 - o7;
    }
}

#[inline(always)]
fn fill_block(value: u8, out: &mut [u8], stride: usize) {
    for y in 0..8 {
        if let Some(out) = out.get_mut(y * stride..y * stride + 8) {
            out.fill(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes the samples by the definition of the transform.
    fn exact(n: usize, block: &Block, table: &[u16; 64]) -> Vec<f64> {
        let mut out = Vec::new();
        for y in 0..n {
            for x in 0..n {
                let mut sum = 0.0;
                for v in 0..n {
                    for u in 0..n {
                        let cos = |i: usize, k: usize| {
                            f64::from(frequency_weight(n, k))
                                * ((2 * i + 1) as f64 * k as f64 * std::f64::consts::PI / (2 * n) as f64).cos()
                        };
                        let value = f64::from(block[v * n + u]) * f64::from(table[v * 8 + u]);
                        sum += value * cos(y, v) * cos(x, u) * n as f64 / 8.0;
                    }
                }
                out.push((sum + 128.0).clamp(0.0, 255.0));
            }
        }
        out
    }

    fn check<const N: usize>() {
        let table: [u16; 64] = std::array::from_fn(|i| 2 + i as u16 % 11);
        for seed in 0..20i32 {
            let mut block = [0; 256];
            for (i, value) in block.iter_mut().enumerate().take(N * N) {
                *value = ((seed * 7919 + i as i32 * 104_729) % 41 - 20) as i16 / if i == 0 { 1 } else { 3 };
            }
            let mut out = vec![0; N * 16];
            write_block::<N>(&block, &DequantizationFactors::new(N, &table), &mut out, 16);
            for (i, wanted) in exact(N, &block, &table).into_iter().enumerate() {
                let got = f64::from(out[i / N * 16 + i % N]);
                assert!((got - wanted).abs() < 0.51, "{N}: sample {i} is {got}, not {wanted}");
            }
        }
    }

    #[test]
    fn the_transforms_agree_with_their_definition() {
        check::<1>();
        check::<2>();
        check::<3>();
        check::<4>();
        check::<5>();
        check::<6>();
        check::<8>();
    }

    #[test]
    fn extreme_values_are_clamped() {
        let block = [i16::MIN; 256];
        for n in [1, 2, 3, 4, 5, 6, 8] {
            let factors = DequantizationFactors::new(n, &[u16::MAX; 64]);
            let mut out = [0; 64];
            match n {
                1 => write_block::<1>(&block, &factors, &mut out, 8),
                2 => write_block::<2>(&block, &factors, &mut out, 8),
                3 => write_block::<3>(&block, &factors, &mut out, 8),
                4 => write_block::<4>(&block, &factors, &mut out, 8),
                5 => write_block::<5>(&block, &factors, &mut out, 8),
                6 => write_block::<6>(&block, &factors, &mut out, 8),
                _ => write_block::<8>(&block, &factors, &mut out, 8),
            }
        }
    }
}
