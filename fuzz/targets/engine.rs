//! Renders any file with the whole engine: an accepted file becomes pictures of the requested
//! sizes.
//!
//! In production the engine catches panics in the decoders of other crates. Here the fuzzer sees
//! them first and reports them.

#![no_main]

use domain::Rotation;
use libfuzzer_sys::fuzz_target;
use picture::{CancelFlag, Limits, OutputFormat, OutputSpec, Region, RenderPlan, Shape, render};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { max_pixels: 500_000, max_memory: 64 << 20, max_scans: 20, ..Limits::default() };
    let outputs = [Shape::Full, Shape::Square(33), Shape::Inside(16), Shape::Letterboxed(21)];
    let plan = RenderPlan {
        rotation: Rotation::ALL[bytes.len() / 2 % 4],
        crop: (bytes.len() % 2 == 0).then_some(Region { x: 3, y: 5, width: 40, height: 9 }),
        outputs: outputs.map(|shape| OutputSpec { shape, format: OutputFormat::Auto }).to_vec(),
    };
    if let Ok(picture) = render(bytes, &plan, &limits, &CancelFlag::new()) {
        assert_eq!(picture.variants.len(), 4);
        assert_eq!((picture.variants[1].width, picture.variants[1].height), (33, 33));
        assert!(picture.variants[2].width <= 16 && picture.variants[2].height <= 16);
        assert_eq!((picture.variants[3].width, picture.variants[3].height), (21, 21));
    }
});
