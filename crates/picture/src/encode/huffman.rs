//! Optimal Huffman codes, built from counted symbols.

/// A Huffman code, in the form of a DHT segment and in the form that the writer uses.
pub(super) struct HuffmanCode {
    /// The number of codes of each length, 1 to 16.
    pub(super) lengths: [u8; 16],
    /// The symbols, in the order of the lengths of their codes.
    pub(super) symbols: Vec<u8>,
    /// For every symbol, its code in the upper bits and the length of the code in the lower five
    /// bits; 0 for symbols without a code.
    pub(super) codes: [u32; 256],
}

impl HuffmanCode {
    /// Builds the shortest code for symbols that occur `counts` times. No code word is longer than 16 bits, and none
    /// consists only of ones.
    ///
    /// Rule: ITU-T T.81, annex K.2, with the reserved 257th symbol that takes the code of all ones.
    pub(super) fn new(counts: &[u32; 256]) -> Self {
        let mut weight = [0u64; 257];
        for (weight, count) in weight.iter_mut().zip(counts) {
            *weight = u64::from(*count);
        }
        weight[256] = 1;
        let mut length = [0usize; 257];
        let mut chain: [Option<usize>; 257] = [None; 257];
        let mut left: Vec<usize> = (0..257).filter(|i| weight[*i] > 0).collect();
        // Of symbols with equal weights, the later one comes first, so that the reserved symbol
        // gets the longest code.
        let least = |left: &[usize], weight: &[u64; 257]| (0..left.len()).rev().min_by_key(|at| weight[left[*at]]);
        while let Some(at) = least(&left, &weight).filter(|_| left.len() > 1) {
            let a = left.remove(at);
            let Some(other) = least(&left, &weight) else { break };
            let b = std::mem::replace(&mut left[other], a);
            left.sort_unstable();
            weight[a] += weight[b];
            let mut end = a;
            length[end] += 1;
            while let Some(next) = chain[end] {
                end = next;
                length[end] += 1;
            }
            chain[end] = Some(b);
            end = b;
            length[end] += 1;
            while let Some(next) = chain[end] {
                end = next;
                length[end] += 1;
            }
        }

        // Weights that are sums of 32-bit counts cannot make a tree deeper than 64.
        let mut codes_by_length = [0u32; 65];
        for length in length.iter().filter(|length| **length > 0) {
            codes_by_length[(*length).min(64)] += 1;
        }
        // Pairs of codes that are too long are shortened. One code of the pair becomes their common prefix. The other
        // forms a new pair with a shorter code.
        for i in (17..=64).rev() {
            while codes_by_length[i] > 0 {
                let Some(j) = (1..i - 1).rev().find(|j| codes_by_length[*j] > 0) else { break };
                codes_by_length[i] -= 2;
                codes_by_length[i - 1] += 1;
                codes_by_length[j + 1] += 2;
                codes_by_length[j] -= 1;
            }
        }
        // The reserved symbol, which has the longest code, is removed.
        if let Some(longest) = (1..=16).rev().find(|i| codes_by_length[*i] > 0) {
            codes_by_length[longest] -= 1;
        }

        let mut symbols: Vec<u8> = (0..=255).filter(|i| length[usize::from(*i)] > 0).collect();
        symbols.sort_by_key(|i| length[usize::from(*i)]);
        let lengths: [u8; 16] = std::array::from_fn(|i| codes_by_length[i + 1] as u8);
        let mut codes = [0; 256];
        let (mut next, mut order) = (0u32, symbols.iter());
        for (i, many) in lengths.iter().enumerate() {
            for symbol in order.by_ref().take(usize::from(*many)) {
                codes[usize::from(*symbol)] = next << 5 | (i as u32 + 1);
                next += 1;
            }
            next <<= 1;
        }
        Self { lengths, symbols, codes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_prefix_free_and_short_enough() {
        // Fibonacci weights build the deepest tree.
        let mut counts = [0u32; 256];
        let (mut a, mut b) = (1, 1);
        for count in &mut counts[..40] {
            *count = a;
            (a, b) = (b, a + b);
        }
        for counts in [counts, [1; 256], std::array::from_fn(|i| u32::from(i == 7)), [0; 256]] {
            let code = HuffmanCode::new(&counts);
            let wanted = counts.iter().filter(|count| **count > 0).count();
            assert_eq!(code.symbols.len(), wanted);
            assert_eq!(code.lengths.iter().map(|n| usize::from(*n)).sum::<usize>(), wanted);
            let space: f64 = code.symbols.iter().map(|s| 0.5f64.powi((code.codes[usize::from(*s)] & 31) as i32)).sum();
            assert!(space < 1.0, "the code of all ones must stay free: {space}");
        }
    }
}
