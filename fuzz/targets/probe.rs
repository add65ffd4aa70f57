//! Headers of every kind: no panic, and an estimate for whatever passes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use fuzz::picture::{Format, Limits, Output, Plan, Shape, probe};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(probe) = probe(bytes, &Limits::default()) {
        let outputs = [Shape::Full, Shape::Square(512), Shape::Inside(64)];
        let plan = Plan { crop: None, outputs: outputs.map(|shape| Output { shape, format: Format::Auto }).to_vec() };
        assert!(probe.width > 0 && probe.height > 0 && probe.memory(&plan) > 0);
    }
});
