//! The forward transform of an 8 × 8 block, quantized.
//!
//! The algorithm of Arai, Agui and Nakajima, 1988: five multiplications per line, the rest of the scaling folded into
//! the quantization table. Written over whole rows so that the compiler turns every line of it into vector
//! instructions; nothing here needs more than what every x86-64 and every ARM64 has.

/// Divisors of a quantization table, in the order [`forward`] needs them.
pub(super) struct Divisors([[f32; 8]; 8]);

/// 1 for the first, √2·cos(kπ/16) for the others.
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

impl Divisors {
    /// For `table` in natural order: row after row, the lowest frequency first.
    pub(super) fn new(table: &[u8; 64]) -> Self {
        // Transposed, as the blocks are after two passes with one transposition.
        Self(std::array::from_fn(|u| {
            std::array::from_fn(|v| (1.0 / (f64::from(table[v * 8 + u]) * SCALE[u] * SCALE[v] * 8.0)) as f32)
        }))
    }
}

/// Natural order after transposition → zig-zag: `ZIGZAG[k]` is where the k-th coefficient lies.
const ZIGZAG: [u8; 64] = transposed(super::huffman::ZIGZAG);

const fn transposed(natural: [u8; 64]) -> [u8; 64] {
    let mut out = [0; 64];
    let mut k = 0;
    while k < 64 {
        out[k] = (natural[k] % 8) * 8 + natural[k] / 8;
        k += 1;
    }
    out
}

/// The quantized coefficients of `block`, in zig-zag order. Samples are 0 to 255, rows first.
pub(super) fn forward(block: &[[u8; 8]; 8], divisors: &Divisors) -> [i16; 64] {
    let mut work = [[0f32; 8]; 8];
    for (row, samples) in work.iter_mut().zip(block) {
        for (value, sample) in row.iter_mut().zip(samples) {
            *value = f32::from(*sample) - 128.0;
        }
    }
    columns(&mut work);
    let mut turned: [[f32; 8]; 8] = std::array::from_fn(|x| std::array::from_fn(|y| work[y][x]));
    columns(&mut turned);
    // Adding 1.5 · 2^23 leaves a float whose low bits are the nearest whole number.
    const MAGIC: f32 = 12_582_912.0;
    let mut natural = [0i16; 64];
    for ((out, row), scale) in natural.as_chunks_mut::<8>().0.iter_mut().zip(&turned).zip(&divisors.0) {
        for ((out, value), scale) in out.iter_mut().zip(row).zip(scale) {
            *out = ((value * scale + MAGIC).to_bits() as i32 - MAGIC.to_bits() as i32) as i16;
        }
    }
    std::array::from_fn(|k| natural[usize::from(ZIGZAG[k] & 63)])
}

type Row = [f32; 8];

#[inline(always)]
fn add(a: Row, b: Row) -> Row {
    std::array::from_fn(|i| a[i] + b[i])
}

#[inline(always)]
fn sub(a: Row, b: Row) -> Row {
    std::array::from_fn(|i| a[i] - b[i])
}

#[inline(always)]
fn mul(a: Row, by: f32) -> Row {
    std::array::from_fn(|i| a[i] * by)
}

/// The eight columns of `d` at once.
#[inline(always)]
fn columns(d: &mut [Row; 8]) {
    let (s0, d0) = (add(d[0], d[7]), sub(d[0], d[7]));
    let (s1, d1) = (add(d[1], d[6]), sub(d[1], d[6]));
    let (s2, d2) = (add(d[2], d[5]), sub(d[2], d[5]));
    let (s3, d3) = (add(d[3], d[4]), sub(d[3], d[4]));

    let (even0, even3) = (add(s0, s3), sub(s0, s3));
    let (even1, even2) = (add(s1, s2), sub(s1, s2));
    d[0] = add(even0, even1);
    d[4] = sub(even0, even1);
    let z1 = mul(add(even2, even3), 0.707_106_77);
    d[2] = add(even3, z1);
    d[6] = sub(even3, z1);

    let (odd0, odd1, odd2) = (add(d3, d2), add(d2, d1), add(d1, d0));
    let z5 = mul(sub(odd0, odd2), 0.382_683_43);
    let z2 = add(mul(odd0, 0.541_196_1), z5);
    let z4 = add(mul(odd2, 1.306_563), z5);
    let z3 = mul(odd1, 0.707_106_77);
    let (z11, z13) = (add(d0, z3), sub(d0, z3));
    d[5] = add(z13, z2);
    d[3] = sub(z13, z2);
    d[1] = add(z11, z4);
    d[7] = sub(z11, z4);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn against_the_definition() {
        let block: [[u8; 8]; 8] = std::array::from_fn(|y| std::array::from_fn(|x| (x * x * 31 + y * 17 + x * y) as u8));
        let table: [u8; 64] = std::array::from_fn(|i| 1 + i as u8 / 3);
        let out = forward(&block, &Divisors::new(&table));
        for (k, natural) in crate::picture::encode::huffman::ZIGZAG.into_iter().enumerate() {
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
