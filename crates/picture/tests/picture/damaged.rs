//! Damaged files are rejected completely, and no file causes a panic.

use std::panic::{catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicUsize, Ordering};

use picture::{CancelFlag, Limits, OutputFormat, OutputSpec, Rejection, RenderPlan, Shape, render};

use super::{all_pictures, read_picture, render_small_png, result_code, single_output_plan};

/// A file that ends in the middle of its pixels is rejected, so that there are no half-gray pictures.
#[test]
fn cut_off_files_are_broken() {
    for (name, bytes) in all_pictures() {
        for part in 1..16 {
            let cut = &bytes[..bytes.len() * part / 16];
            let found = result_code(cut);
            // A trailer may be missing, an animation may lose later frames, and a progressive JPEG its last scans.
            let whole = match name.as_str() {
                "trailer.jpg" => part >= 10,
                // The largest entry may be followed by others.
                _ if name.ends_with(".ico") => found == "accepted" && part >= 9,
                _ if name.ends_with("progressive.jpg") => found == "accepted" && part >= 2,
                _ if name.starts_with("animated") => found == "accepted" && part >= 7,
                _ => false,
            };
            assert!(whole || found == "broken_picture", "{name} cut at {part}/16: {found}");
        }
    }
}

#[test]
fn a_prefix_of_a_jpeg_is_accepted_only_if_the_picture_is_whole() {
    for name in ["orientation-1.jpg", "gray.jpg"] {
        let bytes = read_picture(name);
        // The last two bytes are only the end mark; with one byte less, the last bits are missing.
        for length in 3..bytes.len() - 4 {
            assert_eq!(result_code(&bytes[..length]), "broken_picture", "{name}, {length} of {} bytes", bytes.len());
        }
        assert_eq!(result_code(&bytes), "accepted");
    }
    // A progressive picture is complete after its first scan, and sharper after each of the others.
    let bytes = read_picture("420-progressive.jpg");
    let scans: Vec<usize> = (0..bytes.len() - 1).filter(|at| bytes[*at..].starts_with(b"\xFF\xDA")).collect();
    for length in 3..bytes.len() {
        let found = result_code(&bytes[..length]);
        // A file of a length between these two ends near or within the tables of the second scan.
        // Both results are correct.
        let expected = match length {
            _ if length + 300 < scans[1] => "broken_picture",
            _ if length >= scans[1] => "accepted",
            _ => &found,
        };
        assert_eq!(found, expected, "{length} of {} bytes", bytes.len());
    }
}

#[test]
fn whatever_follows_the_picture_is_ignored() {
    for name in ["420.jpg", "420-progressive.jpg", "gray.jpg", "rgb.png", "plain.gif", "24.bmp"] {
        let mut bytes = read_picture(name);
        let before = render_small_png(&bytes).unwrap();
        bytes.extend((0..5000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()));
        assert_eq!(render_small_png(&bytes).unwrap().variants[0].bytes, before.variants[0].bytes, "{name}");
    }
}

/// Some thousand files with a few changed bytes: any result is accepted except a panic or another failure of the engine.
#[test]
fn changed_bytes_never_panic() {
    static OURS: AtomicUsize = AtomicUsize::new(0);
    let before = take_hook();
    // The engine catches panics of third-party decoders. A panic in our own code is a bug.
    set_hook(Box::new(|info| {
        let ours = info.location().is_some_and(|at| at.file().contains("crates/picture/src"));
        OURS.fetch_add(usize::from(ours), Ordering::Relaxed);
    }));
    let plan = RenderPlan {
        outputs: [Shape::Full, Shape::Inside(100), Shape::Inside(16)]
            .map(|shape| OutputSpec { shape, format: OutputFormat::Auto })
            .to_vec(),
        ..RenderPlan::default()
    };
    let mut seed = 1u32;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % below
    };
    let mut escaped = Vec::new();
    for (name, bytes) in all_pictures() {
        for round in 0..60 {
            let mut changed = bytes.clone();
            // Half of the changes are in the headers, where they have the most effect.
            let reach = if round % 2 == 0 { changed.len().min(700) } else { changed.len() };
            for _ in 0..1 + round % 5 {
                let at = next(reach);
                changed[at] = match round % 3 {
                    0 => next(256) as u8,
                    1 => 0xFF,
                    _ => changed[at] ^ 1 << next(8),
                };
            }
            // Small limits, because files that claim to be huge are not the subject of this test.
            let limits = Limits { max_pixels: 1_000_000, max_memory: 64 << 20, ..Limits::default() };
            match catch_unwind(|| render(&changed, &plan, &limits, &CancelFlag::new())) {
                Err(_) => escaped.push(format!("{name} round {round}")),
                // A changed file may be accepted or rejected. The engine itself may fail only by a
                // panic of a third-party decoder.
                Ok(Err(Rejection::EngineFailed { detail })) if !detail.contains("panicked") => {
                    escaped.push(format!("{name} round {round}: {detail}"));
                }
                Ok(_) => {}
            }
        }
    }
    set_hook(before);
    assert!(escaped.is_empty(), "{escaped:?}");
    assert_eq!(OURS.load(Ordering::Relaxed), 0, "panics in the engine itself");
}

#[test]
fn a_stopped_render_says_so() {
    for (name, bytes) in all_pictures() {
        let stop = CancelFlag::new();
        stop.cancel();
        let rejection =
            render(&bytes, &single_output_plan(Shape::Inside(9), OutputFormat::Auto), &Limits::default(), &stop)
                .unwrap_err();
        assert!(rejection.is_transient(), "{name}: {rejection}");
    }
}
