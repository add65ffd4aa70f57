//! Guesses the coefficients that a cut-off picture lacks, so that the edges of its blocks are not
//! visible.
//!
//! While the scans with the lowest AC coefficients are missing, a block has one colour. The mean
//! colours of the blocks around it show how the colours inside it probably change. Complete
//! pictures are not changed.
//!
//! Rule: ITU-T T.81, annex K.8, with the rounding and the bounds of libjpeg 6b. libjpeg-turbo 2.1 and later also look
//! at the blocks beyond the neighbours, and guess four coefficients more.

use super::coefficient_store::CoefficientStore;
use super::scan_list::ProgressiveScan;
use crate::formats::jpeg::idct::{self, Block};

/// One coefficient to guess: its index in zig-zag order and in natural order, and the weights of the means of a block
/// and its eight neighbours, row by row, in units of 1/256.
const GUESSES: [(usize, usize, [i64; 9]); 5] = [
    (1, 1, [0, 0, 0, 36, 0, -36, 0, 0, 0]),
    (2, 8, [0, 36, 0, 0, 0, 0, 0, -36, 0]),
    (3, 16, [0, 9, 0, 0, -18, 0, 0, 9, 0]),
    (4, 9, [5, 0, -5, 0, 0, 0, -5, 0, 5]),
    (5, 2, [0, 0, 0, 9, -18, 9, 0, 0, 0]),
];

/// A coefficient that is not known exactly.
struct Guess {
    /// Its position in a block.
    position: usize,
    weights: [i64; 9],
    /// The quantization of the coefficient.
    quantization: i64,
    /// The largest absolute value of the guess, because higher bits are known to be zero.
    bound: i64,
}

/// What to guess in the blocks of one component.
pub(super) struct Smoothing {
    guesses: Vec<Guess>,
    /// The first block that the last scan did not reach, and what to guess from there on.
    unreached: Option<(usize, Vec<Guess>)>,
    /// The quantization of the mean.
    mean_quantization: i64,
}

impl Smoothing {
    /// Finds the coefficients of the component `index` that `parts` leave open and that a decoder
    /// at `n` eighths needs. None if there is nothing to guess. If the file ended within the last
    /// of `parts`, `unreached` is the first block that this scan does not reach.
    pub(super) fn new(
        parts: &[ProgressiveScan],
        index: usize,
        table: &[u16; 64],
        n: usize,
        unreached: Option<usize>,
    ) -> Option<Self> {
        let guesses = open_coefficients(parts, index, table, n);
        let earlier = parts.split_last().map(|(_, earlier)| earlier).unwrap_or_default();
        let unreached = unreached.map(|block| (block, open_coefficients(earlier, index, table, n)));
        let smoothing = Self { guesses, unreached, mean_quantization: i64::from(table[0]) };
        (!smoothing.guesses.is_empty() || smoothing.unreached.is_some()).then_some(smoothing)
    }

    /// Fills in those coefficients of `block` that are zero and not known. `at` is the number of
    /// the block. `means` are the means of the block and its eight neighbours, row by row.
    pub(super) fn apply(&self, block: &mut Block, at: usize, means: [i16; 9]) {
        let guesses = match &self.unreached {
            Some((first, guesses)) if at >= *first => guesses,
            _ => &self.guesses,
        };
        for guess in guesses {
            let coefficient = &mut block[guess.position];
            if *coefficient == 0 {
                let sum: i64 = guess.weights.iter().zip(means).map(|(weight, mean)| weight * i64::from(mean)).sum();
                let slope = sum * self.mean_quantization;
                let value = (slope.abs() + guess.quantization * 128) / (guess.quantization * 256);
                *coefficient = (slope.signum() * value.min(guess.bound)).clamp(-2048, 2047) as i16;
            }
        }
    }
}

/// The coefficients that are not known exactly after `parts`.
fn open_coefficients(parts: &[ProgressiveScan], index: usize, table: &[u16; 64], n: usize) -> Vec<Guess> {
    let positions = idct::block_positions(n);
    let needed = GUESSES.iter().filter(|(k, ..)| usize::from(positions[*k]) < n * n);
    let guess = |(k, natural, weights): &(usize, usize, [i64; 9])| {
        let holds = |part: &&ProgressiveScan| {
            let band = usize::from(part.scan.spectral_start)..=usize::from(part.scan.spectral_end);
            band.contains(k) && part.scan.components.iter().any(|(i, ..)| *i == index)
        };
        let bound = match parts.iter().rev().find(holds).map(|part| part.scan.approximation_low) {
            Some(0) => return None,
            Some(missing_bits) => (1 << missing_bits) - 1,
            None => i64::MAX,
        };
        let (position, quantization) = (usize::from(positions[*k]), i64::from(table[*natural]));
        (quantization > 0).then_some(Guess { position, weights: *weights, quantization, bound })
    };
    needed.filter_map(guess).collect()
}

/// The means of the block at column `x` and row `y` and of its neighbours. Beyond the edges the nearest blocks repeat.
pub(super) fn means_around(
    store: &CoefficientStore,
    (x, y): (usize, usize),
    (across, down): (usize, usize),
    blocks_per_row: usize,
    block_length: usize,
) -> [i16; 9] {
    let columns = [x.saturating_sub(1), x, (x + 1).min(across - 1)];
    let rows = [y.saturating_sub(1), y, (y + 1).min(down - 1)];
    std::array::from_fn(|i| store.wanted[(rows[i / 3] * blocks_per_row + columns[i % 3]) * block_length])
}
