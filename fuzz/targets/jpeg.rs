//! Runs the JPEG decoder alone, at a scale that depends on the length of the file. The decoder must not panic, run
//! without end, or use more memory than the fuzzer allows.

#![no_main]

use libfuzzer_sys::fuzz_target;
use picture::{CancelFlag, Limits, RenderBuffers};

fuzz_target!(|file: &[u8]| {
    if file.starts_with(&[0xFF, 0xD8, 0xFF]) {
        let limits = Limits { max_pixels: 1_000_000, max_scans: 20, ..Limits::default() };
        let n = [1, 2, 3, 4, 5, 6, 8][file.len() % 7];
        let _ = RenderBuffers::default().decode_jpeg_planes(file, n, &limits, &CancelFlag::new());
    }
});
