//! Valid files are rendered correctly. The reference pictures were made by other programs, see `pictures/make.py`.

use domain::{Media, Rotation};
use picture::{CancelFlag, Limits, OutputFormat, OutputSpec, Region, RenderPlan, Shape, probe, render};

use super::{all_pictures, read_picture, render_small_png, single_output_plan};

/// Width, height and RGBA of a PNG.
pub(super) fn pixels(png: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().unwrap();
    let mut samples = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut samples).unwrap();
    let rgba = match info.color_type {
        png::ColorType::GrayscaleAlpha => samples.as_chunks::<2>().0.iter().flat_map(|&[v, a]| [v, v, v, a]).collect(),
        _ => samples,
    };
    (info.width, info.height, rgba)
}

/// Peak signal-to-noise ratio in dB of the visible picture: colours are weighted by their opacity.
pub(super) fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let seen = |pixel: &[u8; 4], i: usize| match i {
        3 => f64::from(pixel[3]),
        i => f64::from(pixel[i]) * f64::from(pixel[3]) / 255.0,
    };
    let mut sum = 0.0;
    for (a, b) in a.as_chunks::<4>().0.iter().zip(b.as_chunks::<4>().0) {
        sum += (0..4).map(|i| (seen(a, i) - seen(b, i)).powi(2)).sum::<f64>();
    }
    10.0 * (255.0 * 255.0 / (sum / a.len() as f64).max(1e-9)).log10()
}

#[test]
fn pictures_look_as_they_should() {
    let mut wrong = Vec::new();
    for (name, bytes) in all_pictures().into_iter().filter(|(name, _)| name != "scaled.jpg") {
        let wanted = pixels(&reference_picture(&name));
        let made = render_small_png(&bytes).unwrap_or_else(|rejection| panic!("{name}: {rejection}"));
        let made = pixels(&made.variants[0].bytes);
        assert_eq!((made.0, made.1), (wanted.0, wanted.1), "{name}");
        // A picture that two programs decode and scale differs by rounding and by chroma smoothing. Both matter most on
        // the smallest pictures, and on pictures that consist of edges. A wrong orientation gives 15 dB, wrong colours
        // give 30 dB at most.
        let limit = if name.ends_with(".jpg") || name == "bits.png" { 36.0 } else { 40.0 };
        let found = psnr(&made.2, &wanted.2);
        if found < limit {
            wrong.push(format!("{name}: {found:.1} dB"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn reference_picture(name: &str) -> Vec<u8> {
    let file = format!("{}/tests/pictures/{name}.png", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(file).unwrap()
}

#[test]
fn the_output_format_follows_the_input_format() {
    for (name, media) in [
        ("420.jpg", Media::Jpeg),
        ("rgb.png", Media::Png),
        ("plain.gif", Media::Png),
        ("24.bmp", Media::Jpeg),
        ("lossy.webp", Media::Jpeg),
        ("alpha.webp", Media::Png),
        ("icon.ico", Media::Png),
    ] {
        let plan = single_output_plan(Shape::Full, OutputFormat::Auto);
        let made = render(&read_picture(name), &plan, &Limits::default(), &CancelFlag::new()).unwrap();
        assert_eq!(made.variants[0].media, media, "{name}");
        assert_eq!(Media::sniff(&made.variants[0].bytes), Some(media), "{name}");
        assert_eq!((made.variants[0].width, made.variants[0].height), (made.width, made.height), "{name}");
    }
}

#[test]
fn every_output_is_a_picture_we_take_ourselves() {
    let shapes = [
        Shape::Full,
        Shape::Square(200),
        Shape::Square(32),
        Shape::Inside(50),
        Shape::Inside(1),
        Shape::Letterboxed(60),
        Shape::Letterboxed(1),
    ];
    let formats = [OutputFormat::Jpeg, OutputFormat::Png];
    let outputs: Vec<OutputSpec> =
        shapes.iter().flat_map(|shape| formats.map(|format| OutputSpec { shape: *shape, format })).collect();
    let crop = Some(Region { x: 7, y: 3, width: 41, height: 1000 });
    for (i, (name, bytes)) in all_pictures().into_iter().enumerate() {
        let rotation = Rotation::ALL[i % 4];
        for crop in [None, crop] {
            let plan = RenderPlan { rotation, crop, outputs: outputs.clone() };
            let made = render(&bytes, &plan, &Limits::default(), &CancelFlag::new()).unwrap();
            let turned = rotation.turned_size((made.width, made.height));
            assert_eq!(made.variants.len(), outputs.len());
            for (variant, output) in made.variants.iter().zip(&outputs) {
                let again = render_small_png(&variant.bytes)
                    .unwrap_or_else(|rejection| panic!("{name} {output:?}: {rejection}"));
                assert_eq!((again.width, again.height), (variant.width, variant.height), "{name} {output:?}");
                match output.shape {
                    Shape::Square(n) | Shape::Letterboxed(n) => assert_eq!((variant.width, variant.height), (n, n)),
                    Shape::Inside(n) => assert!(variant.width.max(variant.height) <= n.max(1)),
                    Shape::Full if crop.is_some() => assert_eq!(variant.width, 41.min(turned.0 - 7)),
                    Shape::Full => assert_eq!((variant.width, variant.height), turned),
                }
            }
        }
    }
}

#[test]
fn nothing_of_the_file_is_passed_on() {
    for name in ["orientation-6.jpg", "p3.jpg", "p3.png", "trailer.jpg"] {
        for format in [OutputFormat::Jpeg, OutputFormat::Png] {
            let made = render(
                &read_picture(name),
                &single_output_plan(Shape::Full, format),
                &Limits::default(),
                &CancelFlag::new(),
            )
            .unwrap();
            for word in [&b"Exif"[..], b"ICC_PROFILE", b"iCCP", b"eXIf", b"SEFT"] {
                let found = made.variants[0].bytes.windows(word.len()).any(|window| window == word);
                assert!(!found, "{name}: {}", String::from_utf8_lossy(word));
            }
        }
    }
}

#[test]
fn a_crop_is_of_the_picture_as_seen() {
    let plan = |crop| RenderPlan { crop, ..single_output_plan(Shape::Full, OutputFormat::Png) };
    let region = Region { x: 40, y: 10, width: 30, height: 20 };
    let of = |name: &str| {
        let made = render(&read_picture(name), &plan(Some(region)), &Limits::default(), &CancelFlag::new()).unwrap();
        pixels(&made.variants[0].bytes)
    };
    let first = of("orientation-1.jpg");
    assert_eq!((first.0, first.1), (30, 20));
    for orientation in 2..=8 {
        let other = of(&format!("orientation-{orientation}.jpg"));
        let found = psnr(&first.2, &other.2);
        assert!(found > 30.0, "orientation {orientation}: {found:.1} dB");
    }
}

/// Each chroma value at half size belongs to a pair of pixels. In a turned picture of 75 × 49 pixels the pairs are
/// different ones.
#[test]
fn colours_stay_in_place_when_odd_sizes_are_turned() {
    for orientation in 1..=8 {
        let file = read_picture(&format!("orientation-{orientation}.jpg"));
        let made = |format| {
            render(&file, &single_output_plan(Shape::Full, format), &Limits::default(), &CancelFlag::new())
                .unwrap()
                .variants
                .remove(0)
                .bytes
        };
        let again = render(
            &made(OutputFormat::Jpeg),
            &single_output_plan(Shape::Full, OutputFormat::Png),
            &Limits::default(),
            &CancelFlag::new(),
        );
        let (jpeg, png) = (pixels(&again.unwrap().variants[0].bytes), pixels(&made(OutputFormat::Png)));
        let found = psnr(&jpeg.2, &png.2);
        assert!(found > 36.0, "orientation {orientation}: {found:.1} dB");
    }
}

#[test]
fn probes_tell_what_renders_find() {
    for (name, bytes) in all_pictures() {
        let probe = probe(&bytes, &Limits::default()).unwrap();
        let made = render_small_png(&bytes).unwrap();
        assert_eq!((probe.media, probe.width, probe.height), (made.media, made.width, made.height), "{name}");
        let animated = name.starts_with("animated");
        assert_eq!(probe.frames, if animated { 2 } else { 1 }, "{name}");
    }
}
