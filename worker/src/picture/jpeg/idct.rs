//! From coefficients to samples, at one, two, three, four or eight samples per block and direction.
//!
//! An n-point inverse transform of the n × n lowest frequencies is the block shrunk to n × n, as well as one can: what
//! the left-out frequencies say is finer than the samples that are made. Rows are transformed as wholes, so that the
//! compiler turns them into vector instructions.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

/// The part of a block that is wanted, row after row, N to a row; beyond that, room for what is not.
pub(super) type Block = [i16; 256];

/// What each wanted coefficient is multiplied by, laid out as in [`Block`].
pub(super) struct Factors([f32; 64]);

/// cos(kπ/16)·√2, and 1 for the mean: folded into the factors of the eight-point transform.
const SCALE: [f32; 8] = [1.0, 1.387_039_8, 1.306_562_9, 1.175_875_6, 1.0, 0.785_694_96, 0.541_196_1, 0.275_899_38];

impl Factors {
    /// For `n` and a quantization table in natural order.
    pub(super) fn new(n: usize, table: &[u16; 64]) -> Self {
        let mut factors = [0.0; 64];
        for row in 0..n {
            for column in 0..n {
                let scale = match n {
                    // Exact in whole numbers, see below.
                    1 => 1.0,
                    8 => SCALE[row] * SCALE[column] / 8.0,
                    // Orthonormal, times n/8.
                    _ => [axis(n, row), axis(n, column)].iter().product::<f32>() * n as f32 / 8.0,
                };
                factors[row * n + column] = f32::from(table[row * 8 + column]) * scale;
            }
        }
        Self(factors)
    }
}

/// The weight of frequency `k` in an orthonormal transform of `n` points.
fn axis(n: usize, k: usize) -> f32 {
    ((if k == 0 { 1.0 } else { 2.0 }) / n as f32).sqrt()
}

/// Where the k-th coefficient in zig-zag order lies in a [`Block`] of `n` × `n`; what is not wanted, beyond its end.
pub(super) fn places(n: usize) -> [u8; 256] {
    let mut places = [255; 256];
    for (place, natural) in places.iter_mut().zip(crate::picture::encode::ZIGZAG) {
        let (row, column) = (usize::from(natural / 8), usize::from(natural % 8));
        if row < n && column < n {
            *place = (row * n + column) as u8;
        }
    }
    places
}

/// The last wanted coefficient in zig-zag order.
pub(super) fn last(n: usize) -> u32 {
    match n {
        1 => 0,
        2 => 4,
        3 => 12,
        4 => 24,
        _ => 63,
    }
}

/// Writes the N × N samples of `block` to `out`, rows `stride` apart. `out` is long enough for N rows.
#[inline(always)]
pub(super) fn write<const N: usize>(block: &Block, factors: &Factors, out: &mut [u8], stride: usize) {
    match N {
        1 => {
            // As libjpeg does: the mean, divided by eight, to the nearest.
            let mean = (i32::from(block[0]) * factors.0[0] as i32 + 4) >> 3;
            if let Some(out) = out.first_mut() {
                *out = (mean + 128).clamp(0, 255) as u8;
            }
        }
        2 => two(block, &factors.0, out, stride),
        3 => put(three(&coefficients(block, factors)), out, stride),
        4 => put(four(&coefficients(block, factors)), out, stride),
        _ => eight(block, factors, out, stride),
    }
}

#[inline(always)]
fn coefficients<const N: usize>(block: &Block, factors: &Factors) -> [[f32; N]; N] {
    std::array::from_fn(|row| {
        std::array::from_fn(|column| f32::from(block[row * N + column]) * factors.0[row * N + column])
    })
}

/// A sample from its value around zero: the nearest whole number, 0 to 255.
#[inline(always)]
fn sample(value: f32) -> u8 {
    // Adding 1.5 · 2^23 leaves a float whose low bits are the nearest whole number.
    ((value + 128.0).clamp(0.0, 255.0) + 12_582_912.0).to_bits() as u8
}

#[inline(always)]
fn put<const N: usize>(values: [[f32; N]; N], out: &mut [u8], stride: usize) {
    for (y, row) in values.iter().enumerate() {
        if let Some(out) = out.get_mut(y * stride..y * stride + N) {
            out.copy_from_slice(&row.map(sample));
        }
    }
}

#[inline(always)]
fn two(block: &Block, factors: &[f32; 64], out: &mut [u8], stride: usize) {
    let [a, b, c, d]: [f32; 4] = std::array::from_fn(|i| f32::from(block[i]) * factors[i]);
    // The factors hold the weights 1/2 and 1; the cosines are √½ each way.
    let (b, c, d) = (b * FRAC_1_SQRT_2, c * FRAC_1_SQRT_2, d * 0.5);
    let (left, right, down_left, down_right) = (a + b, a - b, c + d, c - d);
    put([[left + down_left, right + down_right], [left - down_left, right - down_right]], out, stride);
}

#[inline(always)]
fn transposed<const N: usize>(rows: [[f32; N]; N]) -> [[f32; N]; N] {
    std::array::from_fn(|x| std::array::from_fn(|y| rows[y][x]))
}

#[inline(always)]
fn add<const N: usize>(a: [f32; N], b: [f32; N]) -> [f32; N] {
    std::array::from_fn(|i| a[i] + b[i])
}

#[inline(always)]
fn sub<const N: usize>(a: [f32; N], b: [f32; N]) -> [f32; N] {
    std::array::from_fn(|i| a[i] - b[i])
}

#[inline(always)]
fn mul<const N: usize>(a: [f32; N], by: f32) -> [f32; N] {
    std::array::from_fn(|i| a[i] * by)
}

#[inline(always)]
fn three(rows: &[[f32; 3]; 3]) -> [[f32; 3]; 3] {
    let pass = |c: &[[f32; 3]; 3]| {
        let even = add(c[0], mul(c[2], 0.5));
        let odd = mul(c[1], 0.866_025_4);
        [add(even, odd), sub(c[0], c[2]), sub(even, odd)]
    };
    transposed(pass(&transposed(pass(rows))))
}

#[inline(always)]
fn four(rows: &[[f32; 4]; 4]) -> [[f32; 4]; 4] {
    let pass = |c: &[[f32; 4]; 4]| {
        let turned = mul(c[2], FRAC_1_SQRT_2);
        let (even0, even1) = (add(c[0], turned), sub(c[0], turned));
        let odd0 = add(mul(c[1], 0.923_879_5), mul(c[3], 0.382_683_43));
        let odd1 = sub(mul(c[1], 0.382_683_43), mul(c[3], 0.923_879_5));
        [add(even0, odd0), add(even1, odd1), sub(even1, odd1), sub(even0, odd0)]
    };
    transposed(pass(&transposed(pass(rows))))
}

/// Arai, Agui and Nakajima's, the scaling folded into the factors.
#[inline(always)]
fn eight(block: &Block, factors: &Factors, out: &mut [u8], stride: usize) {
    if block[1..64].iter().fold(0, |any, value| any | value) == 0 {
        let flat = sample(f32::from(block[0]) * factors.0[0]);
        put_flat(flat, out, stride);
        return;
    }
    let pass = |c: &[[f32; 8]; 8]| {
        let (even0, even1) = (add(c[0], c[4]), sub(c[0], c[4]));
        let even3 = add(c[2], c[6]);
        let even2 = sub(mul(sub(c[2], c[6]), SQRT_2), even3);
        let (e0, e3) = (add(even0, even3), sub(even0, even3));
        let (e1, e2) = (add(even1, even2), sub(even1, even2));

        let (z13, z10) = (add(c[5], c[3]), sub(c[5], c[3]));
        let (z11, z12) = (add(c[1], c[7]), sub(c[1], c[7]));
        let o7 = add(z11, z13);
        let z5 = mul(add(z10, z12), 1.847_759_1);
        let o6 = sub(sub(z5, mul(z10, 2.613_125_9)), o7);
        let o5 = sub(mul(sub(z11, z13), SQRT_2), o6);
        let o4 = sub(sub(z5, mul(z12, 1.082_392_2)), o5);
        [add(e0, o7), add(e1, o6), add(e2, o5), add(e3, o4), sub(e3, o4), sub(e2, o5), sub(e1, o6), sub(e0, o7)]
    };
    let columns = pass(&coefficients::<8>(block, factors));
    put(transposed(pass(&transposed(columns))), out, stride);
}

#[inline(always)]
fn put_flat(value: u8, out: &mut [u8], stride: usize) {
    for y in 0..8 {
        if let Some(out) = out.get_mut(y * stride..y * stride + 8) {
            out.fill(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The samples by the definition of the transform.
    fn exact(n: usize, block: &Block, table: &[u16; 64]) -> Vec<f64> {
        let mut out = Vec::new();
        for y in 0..n {
            for x in 0..n {
                let mut sum = 0.0;
                for v in 0..n {
                    for u in 0..n {
                        let cos = |i: usize, k: usize| {
                            f64::from(axis(n, k))
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
            write::<N>(&block, &Factors::new(N, &table), &mut out, 16);
            for (i, wanted) in exact(N, &block, &table).into_iter().enumerate() {
                let got = f64::from(out[i / N * 16 + i % N]);
                assert!((got - wanted).abs() < 0.51, "{N}: sample {i} is {got}, not {wanted}");
            }
        }
    }

    #[test]
    fn against_the_definition() {
        check::<1>();
        check::<2>();
        check::<3>();
        check::<4>();
        check::<8>();
    }

    #[test]
    fn the_wildest_values_are_only_clamped() {
        let block = [i16::MIN; 256];
        for n in [1, 2, 3, 4, 8] {
            let factors = Factors::new(n, &[u16::MAX; 64]);
            let mut out = [0; 64];
            match n {
                1 => write::<1>(&block, &factors, &mut out, 8),
                2 => write::<2>(&block, &factors, &mut out, 8),
                3 => write::<3>(&block, &factors, &mut out, 8),
                4 => write::<4>(&block, &factors, &mut out, 8),
                _ => write::<8>(&block, &factors, &mut out, 8),
            }
        }
    }
}
