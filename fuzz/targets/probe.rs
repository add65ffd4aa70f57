//! Probes any file: no panic, and a memory estimate for every accepted file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use picture::{Limits, OutputFormat, OutputSpec, RenderPlan, Shape, probe};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(probe) = probe(bytes, &Limits::default()) {
        let outputs = [Shape::Full, Shape::Square(512), Shape::Inside(64), Shape::Letterboxed(512)];
        let plan = RenderPlan {
            outputs: outputs.map(|shape| OutputSpec { shape, format: OutputFormat::Auto }).to_vec(),
            ..RenderPlan::default()
        };
        assert!(probe.width > 0 && probe.height > 0 && probe.memory_estimate(&plan) > 0);
    }
});
