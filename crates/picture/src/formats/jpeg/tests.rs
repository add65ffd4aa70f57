//! Compares the decoder with two others: with the scaled output of libjpeg-turbo, which is kept in files, and with
//! zune-jpeg, a general decoder in safe Rust.

use super::*;
use crate::decoder::DecodeBuffers;
use crate::raster::Colour;

const SCALED_JPEG: &[u8] = include_bytes!("../../../tests/pictures/scaled.jpg");

fn decoded(file: &[u8], n: u8) -> Raster {
    let header = Header::read(file).unwrap();
    let (limits, stop, mut buffers) = (Limits::default(), CancelFlag::new(), DecodeBuffers::default());
    let context = DecodeContext { scale: n, limits: &limits, buffers: &mut buffers, stop: &stop };
    decode(file, &header, &context, &mut EntropyData::default()).unwrap()
}

fn luma(raster: &Raster) -> Vec<u8> {
    raster.planes[0].rows(1).flatten().copied().collect()
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
    10.0 * (255.0 * 255.0 / (sum / a.len() as f64).max(1e-9)).log10()
}

#[test]
fn a_decode_at_one_eighth_equals_the_result_of_libjpeg_turbo() {
    assert_eq!(luma(&decoded(SCALED_JPEG, 1)), include_bytes!("../../../tests/pictures/scaled-1.raw"));
}

#[test]
fn other_scales_differ_little_from_libjpeg_turbo() {
    // libjpeg-turbo averages; this decoder keeps the low frequencies. The results are alike in
    // smooth pictures. At edges the result of this decoder is sharper.
    for (n, raw, limit) in [
        (2, &include_bytes!("../../../tests/pictures/scaled-2.raw")[..], 34.0),
        (4, include_bytes!("../../../tests/pictures/scaled-4.raw"), 38.0),
        (8, include_bytes!("../../../tests/pictures/scaled-8.raw"), 55.0),
    ] {
        let found = psnr(&luma(&decoded(SCALED_JPEG, n)), raw);
        assert!(found > limit, "{n}/8: {found:.1} dB");
    }
}

#[test]
fn a_decode_at_full_size_looks_like_the_result_of_zune_jpeg() {
    for file in [
        &include_bytes!("../../../tests/pictures/gray.jpg")[..],
        include_bytes!("../../../tests/pictures/gray-progressive.jpg"),
        include_bytes!("../../../tests/pictures/444.jpg"),
        include_bytes!("../../../tests/pictures/444-progressive.jpg"),
        include_bytes!("../../../tests/pictures/rgb.jpg"),
    ] {
        let ours = decoded(file, 8);
        let space = match ours.colour {
            Colour::Gray => zune_core::colorspace::ColorSpace::Luma,
            Colour::Rgb => zune_core::colorspace::ColorSpace::RGB,
            _ => zune_core::colorspace::ColorSpace::YCbCr,
        };
        let options = zune_core::options::DecoderOptions::default().jpeg_set_out_colorspace(space);
        let cursor = zune_core::bytestream::ZCursor::new(file);
        let theirs = zune_jpeg::JpegDecoder::new_with_options(cursor, options).decode().unwrap();
        let rows: Vec<Vec<u8>> =
            ours.planes.iter().map(|plane| plane.rows(ours.colour.channels()).flatten().copied().collect()).collect();
        let ours: Vec<u8> = match &rows[..] {
            [one] => one.clone(),
            [y, cb, cr] => y.iter().zip(cb).zip(cr).flat_map(|((y, cb), cr)| [*y, *cb, *cr]).collect(),
            _ => unreachable!(),
        };
        let found = psnr(&ours, &theirs);
        assert!(found > 50.0, "{found:.1} dB");
    }
}

/// After the first scan every block has one colour. With smoothing, the result is closer to the complete picture: 22.3
/// dB instead of 21.5 dB.
#[test]
fn blocks_are_smoothed_while_scans_are_missing() {
    let file = include_bytes!("../../../tests/pictures/gray-progressive.jpg");
    let second = (0..file.len()).filter(|at| file[*at..].starts_with(b"\xFF\xDA")).nth(1).unwrap();
    let whole = luma(&decoded(file, 8));
    let found = psnr(&luma(&decoded(&file[..second], 8)), &whole);
    assert!(found > 22.0, "{found:.1} dB");
    // The second scan has the coefficients that smoothing guesses. Blocks that the truncated scan does not reach are
    // smoothed as before: 22.4 dB instead of 21.9 dB.
    let found = psnr(&luma(&decoded(&file[..second + 40], 8)), &whole);
    assert!(found > 22.2, "{found:.1} dB");
}

#[test]
fn progressive_and_sequential_files_have_equal_samples() {
    for (sequential, progressive) in [
        (
            &include_bytes!("../../../tests/pictures/420.jpg")[..],
            &include_bytes!("../../../tests/pictures/420-progressive.jpg")[..],
        ),
        (
            include_bytes!("../../../tests/pictures/422.jpg"),
            include_bytes!("../../../tests/pictures/422-progressive.jpg"),
        ),
        (
            include_bytes!("../../../tests/pictures/gray.jpg"),
            include_bytes!("../../../tests/pictures/gray-progressive.jpg"),
        ),
    ] {
        for n in [1, 2, 3, 4, 5, 6, 8] {
            let (sequential, progressive) = (decoded(sequential, n), decoded(progressive, n));
            for (one, other) in sequential.planes.iter().zip(&progressive.planes) {
                assert!(one.rows(1).eq(other.rows(1)), "at {n}/8");
            }
        }
    }
}
