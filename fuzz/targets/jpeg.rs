//! The JPEG decoder alone, at a scale the first byte picks: no panic, no endless loop, no more memory than estimated.

#![no_main]

use libfuzzer_sys::fuzz_target;
use worker::picture::{Limits, Stop, Workbench};

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, file)) = bytes.split_first() else { return };
    if file.starts_with(&[0xFF, 0xD8, 0xFF]) {
        let limits = Limits { max_pixels: 1_000_000, max_scans: 20, ..Limits::default() };
        let n = [1, 2, 3, 4, 8][usize::from(first % 5)];
        let _ = Workbench::default().planes(file, n, &limits, &Stop::new());
    }
});
