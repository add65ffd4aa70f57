//! The forward transform of an 8 × 8 block, with quantization.
//!
//! The algorithm is that of Arai, Agui and Nakajima, 1988. It needs five multiplications per line, and the rest of the
//! scaling is part of the quantization table. The transform is written as a loop over the columns, which the compiler
//! turns into vector instructions. Every x86-64 and every ARM64 processor has these instructions.

/// The reciprocals of a quantization table and of the scaling. [`forward_dct`] multiplies each coefficient by its
/// factor. The factors are transposed: column after column.
pub(super) struct QuantizationFactors([[f32; 8]; 8]);

/// The scale of the frequency k: 1 for k = 0, √2·cos(kπ/16) for the others.
const SCALE: [f64; 8] = [
    1.0,
    1.387_039_845_322_148,
    1.306_562_964_876_377,
    1.175_875_602_419_359,
    1.0,
    0.785_694_958_387_102,
    0.541_196_100_146_197,
    0.275_899_379_282_943,
];

impl QuantizationFactors {
    /// Computes the factors for `table`, which is in natural order: row after row, the lowest frequency first.
    pub(super) fn new(table: &[u8; 64]) -> Self {
        // Transposed, because `forward_dct` transposes a block once between its two passes and not
        // a second time.
        Self(std::array::from_fn(|u| {
            std::array::from_fn(|v| (1.0 / (f64::from(table[v * 8 + u]) * SCALE[u] * SCALE[v] * 8.0)) as f32)
        }))
    }
}

/// The zig-zag order of a transposed block: `TRANSPOSED_ZIGZAG[k]` is the position of the k-th coefficient.
const TRANSPOSED_ZIGZAG: [u8; 64] = transposed(crate::zigzag::ZIGZAG);

const fn transposed(zigzag: [u8; 64]) -> [u8; 64] {
    let mut out = [0; 64];
    let mut k = 0;
    while k < 64 {
        out[k] = (zigzag[k] % 8) * 8 + zigzag[k] / 8;
        k += 1;
    }
    out
}

/// Returns the quantized coefficients of `block` in zig-zag order. Samples are 0 to 255, in rows.
#[inline(always)]
pub(super) fn forward_dct(block: &[[u8; 8]; 8], factors: &QuantizationFactors) -> [i16; 64] {
    let mut work = [[0f32; 8]; 8];
    for (row, samples) in work.iter_mut().zip(block) {
        for (value, sample) in row.iter_mut().zip(samples) {
            *value = f32::from(*sample) - 128.0;
        }
    }
    transform_columns(&mut work);
    let mut turned = [[0f32; 8]; 8];
    for (y, row) in work.iter().enumerate() {
        for (x, value) in row.iter().enumerate() {
            turned[x][y] = *value;
        }
    }
    transform_columns(&mut turned);
    // Adding 1.5 · 2^23 leaves a float whose low bits are the nearest whole number.
    const ROUNDING_BIAS: f32 = 12_582_912.0;
    let mut quantized = [0i16; 64];
    for ((out, row), factors) in quantized.as_chunks_mut::<8>().0.iter_mut().zip(&turned).zip(&factors.0) {
        for ((out, value), factor) in out.iter_mut().zip(row).zip(factors) {
            *out = ((value * factor + ROUNDING_BIAS).to_bits() as i32 - ROUNDING_BIAS.to_bits() as i32) as i16;
        }
    }
    let mut out = [0; 64];
    for (out, position) in out.iter_mut().zip(&TRANSPOSED_ZIGZAG) {
        *out = quantized[usize::from(position & 63)];
    }
    out
}

/// Transforms the eight columns of `d` at once.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "`i` is a column, and each iteration indexes all eight rows with it")]
fn transform_columns(d: &mut [[f32; 8]; 8]) {
    for i in 0..8 {
        let (s0, d0) = (d[0][i] + d[7][i], d[0][i] - d[7][i]);
        let (s1, d1) = (d[1][i] + d[6][i], d[1][i] - d[6][i]);
        let (s2, d2) = (d[2][i] + d[5][i], d[2][i] - d[5][i]);
        let (s3, d3) = (d[3][i] + d[4][i], d[3][i] - d[4][i]);

        let (even0, even3) = (s0 + s3, s0 - s3);
        let (even1, even2) = (s1 + s2, s1 - s2);
        d[0][i] = even0 + even1;
        d[4][i] = even0 - even1;
        let z1 = (even2 + even3) * 0.707_106_77;
        d[2][i] = even3 + z1;
        d[6][i] = even3 - z1;

        let (odd0, odd1, odd2) = (d3 + d2, d2 + d1, d1 + d0);
        let z5 = (odd0 - odd2) * 0.382_683_43;
        let z2 = odd0 * 0.541_196_1 + z5;
        let z4 = odd2 * 1.306_563 + z5;
        let z3 = odd1 * 0.707_106_77;
        let (z11, z13) = (d0 + z3, d0 - z3);
        d[5][i] = z13 + z2;
        d[3][i] = z13 - z2;
        d[1][i] = z11 + z4;
        d[7][i] = z11 - z4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_agrees_with_its_definition() {
        let block: [[u8; 8]; 8] = std::array::from_fn(|y| std::array::from_fn(|x| (x * x * 31 + y * 17 + x * y) as u8));
        let table: [u8; 64] = std::array::from_fn(|i| 1 + i as u8 / 3);
        let out = forward_dct(&block, &QuantizationFactors::new(&table));
        for (k, natural) in crate::zigzag::ZIGZAG.into_iter().enumerate() {
            let natural = usize::from(natural);
            let (v, u) = (natural / 8, natural % 8);
            let c = |i: usize| if i == 0 { 0.5f64.sqrt() } else { 1.0 };
            let mut sum = 0.0;
            for (y, row) in block.iter().enumerate() {
                for (x, sample) in row.iter().enumerate() {
                    let cos = |i: usize, f: usize| ((2 * i + 1) as f64 * f as f64 * std::f64::consts::PI / 16.0).cos();
                    sum += (f64::from(*sample) - 128.0) * cos(x, u) * cos(y, v);
                }
            }
            let exact = sum / 4.0 * c(u) * c(v) / f64::from(table[natural]);
            assert!((f64::from(out[k]) - exact).abs() < 0.51, "coefficient {k}: {} for {exact}", out[k]);
        }
    }
}
