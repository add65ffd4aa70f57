//! Hostile icons. See `hostile.rs`.

use super::hostile::{bmp_file, png_file};
use super::{render_small_png, result_code};

/// An icon whose entries have these sides, positions and lengths.
fn ico_file(kind: u16, entries: &[(u8, u32, u32)], body: &[u8]) -> Vec<u8> {
    let mut out = [0, kind, entries.len() as u16].map(u16::to_le_bytes).concat();
    for (side, position, length) in entries {
        out.extend([*side, *side, 0, 0, 1, 0, 32, 0]);
        out.extend(length.to_le_bytes());
        out.extend(position.to_le_bytes());
    }
    out.extend(body);
    out
}

#[test]
fn false_overlapping_or_nested_entries_of_an_icon_do_no_harm() {
    let png = png_file(10, 10, 8, 6, &[], 10);
    let length = png.len() as u32;
    assert_eq!(result_code(&ico_file(1, &[(10, 22, length)], &png)), "accepted");
    assert_eq!(
        result_code(&ico_file(1, &[(10, 22, u32::MAX)], &png)),
        "accepted",
        "the length ends at the end of the file"
    );
    assert_eq!(result_code(&ico_file(1, &[(10, 22, 40)], &png)), "broken_picture", "a length that is too short");
    assert_eq!(result_code(&ico_file(1, &[(10, u32::MAX, length)], &png)), "broken_picture", "a position outside");
    let many = vec![(10, 6 + 16 * 60_000, length); 60_000];
    assert_eq!(result_code(&ico_file(1, &many, &png)), "accepted", "all entries are the same picture");
    assert_eq!(result_code(&ico_file(1, &[(10, 22, 500)], &png_file(20_000, 20_000, 8, 6, &[], 0))), "too_many_pixels");
    let inner = ico_file(1, &[(10, 22, length)], &png);
    let nested = ico_file(1, &[(10, 22, inner.len() as u32)], &inner);
    assert_eq!(result_code(&nested), "broken_picture", "an entry cannot be an icon");
    let rejection = render_small_png(&nested).unwrap_err();
    assert!(rejection.to_string().starts_with("The ICO file is broken"), "{rejection}");
    // The list of entries is longer than the file.
    let mut endless = ico_file(1, &[(10, 22, length)], &png);
    endless[4..6].copy_from_slice(&[0xFF, 0]);
    endless[18..22].copy_from_slice(&5000u32.to_le_bytes());
    assert_eq!(result_code(&endless), "broken_picture");
    let rejection = render_small_png(&ico_file(2, &[(10, 22, length)], &png)).unwrap_err();
    assert_eq!(rejection.to_string(), "Windows cursor is not supported; save it as PNG.");
    // BMP entries are twice as high as the picture, and have no file header.
    let bitmap = |height: i32, depth: u16, compression: u32, pixels: usize| {
        let body = bmp_file(10, height, depth, compression, &vec![255; pixels])[14..].to_vec();
        ico_file(1, &[(10, 22, body.len() as u32)], &body)
    };
    assert_eq!(result_code(&bitmap(20, 32, 0, 400 + 40)), "accepted");
    assert_eq!(result_code(&bitmap(20, 32, 0, 400)), "accepted", "without a mask");
    assert_eq!(result_code(&bitmap(20, 24, 0, 320 + 13)), "accepted", "with a part of its mask");
    assert_eq!(result_code(&bitmap(20, 32, 0, 399)), "broken_picture", "a pixel is missing");
    assert_eq!(result_code(&bitmap(1, 32, 0, 400)), "broken_picture", "no row");
    assert_eq!(result_code(&bitmap(i32::MIN, 32, 0, 400)), "side_too_long");
    assert_eq!(result_code(&bitmap(20, 8, 1, 400)), "unsupported_type", "run-length compression");
}
