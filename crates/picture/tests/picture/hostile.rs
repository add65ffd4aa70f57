//! Hostile files, one for every attack that the formats allow. Each is rejected with its own code, or accepted without
//! harm; none may take much time or memory.

use picture::{CancelFlag, LimitKind, Limits, OutputFormat, Rejection, Shape, probe, render};

use super::{read_picture, render_small_png, result_code, single_output_plan};

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut out = (data.len() as u32).to_be_bytes().to_vec();
    out.extend(kind);
    out.extend(data);
    let mut crc = !0u32;
    for byte in &out[4..] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    out.extend((!crc).to_be_bytes());
    out
}

/// Builds a PNG of zeros with the `extra` chunks before its pixels.
pub(super) fn png_file(width: u32, height: u32, depth: u8, colour: u8, extra: &[Vec<u8>], rows: usize) -> Vec<u8> {
    let mut header = width.to_be_bytes().to_vec();
    header.extend(height.to_be_bytes());
    header.extend([depth, colour, 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    out.extend(chunk(b"IHDR", &header));
    extra.iter().for_each(|chunk| out.extend(chunk));
    let channels = [1, 0, 3, 1, 2, 0, 4][usize::from(colour)];
    let row = 1 + (width as usize * channels * usize::from(depth)).div_ceil(8);
    out.extend(chunk(b"IDAT", &deflated(row * rows)));
    out.extend(chunk(b"IEND", &[]));
    out
}

/// `length` zeros as a zlib stream. The stream has about a thousandth of that length.
fn deflated(length: usize) -> Vec<u8> {
    fdeflate::compress_to_vec(&vec![0; length])
}

#[test]
fn a_png_whose_header_exceeds_a_limit_is_rejected() {
    assert_eq!(result_code(&png_file(20_000, 20_000, 8, 6, &[], 0)), "too_many_pixels");
    assert_eq!(result_code(&png_file(u32::MAX >> 1, 2, 8, 6, &[], 0)), "side_too_long");
    assert_eq!(result_code(&png_file(10_000, 9_999, 8, 6, &[], 0)), "too_much_memory");
    assert_eq!(result_code(&png_file(0, 9, 8, 6, &[], 1)), "broken_picture");
    assert_eq!(result_code(&png_file(5000, 5000, 8, 2, &[], 10)), "broken_picture", "fewer rows than it claims");
    assert_eq!(result_code(&png_file(3000, 3000, 1, 0, &[], 3000)), "accepted", "large, but correct");
    let frames = chunk(b"acTL", &[0xFF; 8]);
    assert_eq!(result_code(&png_file(10, 10, 8, 2, &[frames], 10)), "too_many_frames");
}

#[test]
fn surplus_pixels_of_a_png_are_not_inflated() {
    assert_eq!(result_code(&png_file(10, 10, 8, 2, &[], 2_000_000)), "accepted", "the surplus is not inflated");
}

#[test]
fn metadata_of_a_png_are_not_inflated_beyond_their_limit() {
    let bomb = deflated(64 << 20);
    assert!(bomb.len() < 1 << 20);
    let with = |kind: &[u8; 4], head: &[u8]| png_file(10, 10, 8, 2, &[chunk(kind, &[head, &bomb].concat())], 10);
    // Text is never inflated; a colour profile is inflated up to its limit.
    assert_eq!(result_code(&with(b"zTXt", b"a\0\0")), "accepted");
    assert_eq!(result_code(&with(b"iTXt", b"a\0\x01\0\0\0")), "accepted");
    assert_eq!(result_code(&with(b"iCCP", b"a\0\0")), "profile_too_large");
    // A thousand text chunks are skipped, and the picture after them is read.
    let text = chunk(b"zTXt", &[b"a\0\0", &bomb[..1000]].concat());
    assert_eq!(result_code(&png_file(10, 10, 8, 2, &vec![text; 1000], 10)), "accepted");
}

#[test]
fn a_broken_profile_of_a_png_is_ignored() {
    assert_eq!(result_code(&png_file(10, 10, 8, 2, &[chunk(b"iCCP", b"a\0\0no zlib stream")], 10)), "accepted");
    assert_eq!(result_code(&png_file(10, 10, 8, 2, &[chunk(b"iCCP", b"")], 10)), "accepted");
    let nonsense = fdeflate::compress_to_vec(&[7; 200]);
    assert_eq!(
        result_code(&png_file(10, 10, 8, 2, &[chunk(b"iCCP", &[b"a\0\0", &nonsense[..]].concat())], 10)),
        "accepted"
    );
}

fn gif_file(width: u16, height: u16, frames: usize) -> Vec<u8> {
    let mut out = b"GIF89a".to_vec();
    out.extend(width.to_le_bytes());
    out.extend(height.to_le_bytes());
    out.extend(b"\x80\0\0\0\0\0\xFF\xFF\xFF");
    for _ in 0..frames {
        out.extend(b",\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
    }
    out.push(b';');
    out
}

#[test]
fn a_gif_with_too_many_frames_or_too_large_a_canvas_is_rejected() {
    assert_eq!(result_code(&gif_file(1, 1, 1)), "accepted");
    assert_eq!(result_code(&gif_file(1, 1, 100_000)), "too_many_frames");
    assert_eq!(result_code(&gif_file(u16::MAX, u16::MAX, 1)), "side_too_long");
    assert_eq!(result_code(&gif_file(20_000, 20_000, 1)), "too_many_pixels");
    assert_eq!(result_code(&gif_file(9_000, 9_000, 1)), "too_much_memory");
    assert_eq!(result_code(&gif_file(10, 10, 0)), "broken_picture");
    // A frame that is far larger than its canvas.
    let mut large = gif_file(4, 4, 1);
    large[24..28].copy_from_slice(&[0xFF; 4]);
    assert_eq!(result_code(&large), "side_too_long", "the frame enlarges the canvas");
}

#[test]
fn a_gif_with_large_metadata_is_accepted() {
    let with_xmp = |blocks: usize| {
        let mut file = gif_file(4, 4, 0);
        file.pop();
        file.extend(b"!\xFF\x0BXMP DataXMP");
        for _ in 0..blocks {
            file.push(255);
            file.extend([b'x'; 255]);
        }
        file.push(0);
        file.extend(&gif_file(4, 4, 1)[19..]);
        file
    };
    assert_eq!(result_code(&with_xmp(20)), "accepted");
    assert_eq!(result_code(&with_xmp(10_000)), "accepted");
}

pub(super) fn bmp_file(width: i32, height: i32, depth: u16, compression: u32, pixels: &[u8]) -> Vec<u8> {
    let mut out = b"BM\0\0\0\0\0\0\0\0".to_vec();
    out.extend((54 + if depth <= 8 { 4 << depth } else { 0u32 }).to_le_bytes());
    out.extend(40u32.to_le_bytes());
    out.extend(width.to_le_bytes());
    out.extend(height.to_le_bytes());
    out.extend(1u16.to_le_bytes());
    out.extend(depth.to_le_bytes());
    out.extend(compression.to_le_bytes());
    out.resize(54 + if depth <= 8 { 4 << depth } else { 0 }, 0);
    out.extend(pixels);
    out
}

#[test]
fn impossible_sizes_and_endless_runs_of_a_bmp_do_no_harm() {
    let rows = [0; 300];
    assert_eq!(result_code(&bmp_file(10, 10, 24, 0, &[0; 320])), "accepted");
    assert_eq!(result_code(&bmp_file(10, -10, 24, 0, &[0; 320])), "accepted", "rows from the top");
    assert_eq!(result_code(&bmp_file(-10, 10, 24, 0, &rows)), "broken_picture");
    assert_eq!(result_code(&bmp_file(10, i32::MIN, 24, 0, &rows)), "side_too_long");
    assert_eq!(result_code(&bmp_file(i32::MAX, i32::MAX, 24, 0, &rows)), "side_too_long");
    assert_eq!(result_code(&bmp_file(25_000, 25_000, 32, 0, &rows)), "too_many_pixels");
    assert_eq!(result_code(&bmp_file(10, 10, 24, 0, &[0; 100])), "broken_picture", "fewer rows than it claims");
    // Deltas that lead out of the picture, runs across its edge, endless ends of lines.
    for run in [&[0, 2, 255, 255][..], &[255, 1], &[0, 0], &[0, 255]] {
        let found = result_code(&bmp_file(10, 10, 8, 1, &run.repeat(50_000)));
        assert!(found == "broken_picture" || found == "accepted", "{run:?}: {found}");
        let found = result_code(&bmp_file(10, 10, 4, 2, &run.repeat(50_000)));
        assert!(found == "broken_picture" || found == "accepted", "{run:?}, four bits: {found}");
    }
}

fn riff_file(chunks: &[(&[u8; 4], u32, Vec<u8>)]) -> Vec<u8> {
    let mut out = b"RIFF\xFF\xFF\xFF\x7FWEBP".to_vec();
    for (kind, length, data) in chunks {
        out.extend(*kind);
        out.extend(length.to_le_bytes());
        out.extend(data);
    }
    out
}

#[test]
fn a_webp_with_false_or_nested_chunks_is_rejected() {
    let extended = |flags: u8, side: u32| {
        let mut data = vec![flags, 0, 0, 0];
        data.extend(&side.to_le_bytes()[..3]);
        data.extend(&side.to_le_bytes()[..3]);
        data
    };
    assert_eq!(result_code(&riff_file(&[(b"VP8 ", u32::MAX, vec![0; 40])])), "broken_picture");
    assert_eq!(result_code(&riff_file(&[(b"VP8X", 10, extended(0, 10))])), "broken_picture", "no picture in it");
    assert_eq!(result_code(&riff_file(&[(b"VP8X", 10, extended(0, 0xFF_FFFF))])), "side_too_long");
    assert_eq!(
        result_code(&riff_file(&[(b"VP8L", 5, b"\x2F\xFF\xFF\xFF\x0F".to_vec())])),
        "too_many_pixels",
        "16384 pixels wide and high"
    );
    // The outer header says ten pixels, but the picture inside has another size.
    let inside = read_picture("lossy.webp")[20..].to_vec();
    let lying = riff_file(&[(b"VP8X", 10, extended(0, 9)), (b"VP8 ", inside.len() as u32, inside)]);
    assert_eq!(result_code(&lying), "broken_picture");
    // Nested frames.
    let mut nested = vec![0; 16];
    for _ in 0..100 {
        let mut outer = vec![0; 16];
        outer.extend(b"ANMF");
        outer.extend((nested.len() as u32).to_le_bytes());
        outer.extend(&nested);
        nested = outer;
    }
    let animated =
        riff_file(&[(b"VP8X", 10, extended(2, 9)), (b"ANIM", 6, vec![0; 6]), (b"ANMF", nested.len() as u32, nested)]);
    assert_eq!(result_code(&animated), "broken_picture");
}

/// Reads the picture `name` and changes its segment of `marker` with `change`.
fn with_changed_segment(name: &str, marker: u8, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let bytes = read_picture(name);
    let mut at = 2;
    while bytes[at + 1] != marker {
        at += 2 + (usize::from(bytes[at + 2]) << 8 | usize::from(bytes[at + 3]));
    }
    let end = at + 2 + (usize::from(bytes[at + 2]) << 8 | usize::from(bytes[at + 3]));
    let mut segment = bytes[at..end].to_vec();
    change(&mut segment);
    [&bytes[..at], &segment, &bytes[end..]].concat()
}

#[test]
fn a_jpeg_whose_header_exceeds_a_limit_is_rejected() {
    let sized = |w: u16, h: u16| {
        with_changed_segment("420.jpg", 0xC0, |frame| {
            frame[5..7].copy_from_slice(&h.to_be_bytes());
            frame[7..9].copy_from_slice(&w.to_be_bytes());
        })
    };
    assert_eq!(result_code(&sized(65_500, 65_500)), "side_too_long");
    assert_eq!(result_code(&sized(20_000, 20_000)), "too_many_pixels");
    assert_eq!(result_code(&sized(9_900, 9_900)), "broken_picture", "the file has too few bits for this size");
    assert_eq!(result_code(&sized(100, 0)), "broken_picture", "a height of zero");
    // The height comes in a DNL segment after the scan, which libraries read but no program writes.
    let mut later = sized(135, 0);
    later.truncate(later.len() - 2);
    later.extend(b"\xFF\xDC\0\x04\0\x5A\xFF\xD9");
    assert_eq!(result_code(&later), "broken_picture");
    // If the header has a height, a DNL segment with another height changes nothing.
    let mut again = read_picture("420.jpg");
    again.truncate(again.len() - 2);
    again.extend(b"\xFF\xDC\0\x04\xFF\xFF\xFF\xD9");
    assert_eq!(result_code(&again), "accepted");
    assert_eq!(result_code(&sized(0, 100)), "broken_picture");
}

#[test]
fn missing_or_impossible_tables_of_a_jpeg_do_no_harm() {
    for name in ["420.jpg", "420-progressive.jpg"] {
        assert_eq!(result_code(&with_changed_segment(name, 0xDB, Vec::clear)), "broken_picture", "{name} without DQT");
        // A sequential picture without a Huffman table is decoded with the table of the standard.
        let expected = if name == "420.jpg" { "accepted" } else { "broken_picture" };
        assert_eq!(result_code(&with_changed_segment(name, 0xC4, Vec::clear)), expected, "{name} without DHT");
        // More codes of one bit than exist, and a table without codes.
        assert_eq!(result_code(&with_changed_segment(name, 0xC4, |table| table[5] = 255)), "broken_picture");
        assert_eq!(result_code(&with_changed_segment(name, 0xC4, |table| table[5..21].fill(0))), "broken_picture");
    }
    assert_eq!(
        result_code(&with_changed_segment("420.jpg", 0xC0, |frame| frame[4] = 12)),
        "unsupported_type",
        "12 bits"
    );
    assert_eq!(
        result_code(&with_changed_segment("420.jpg", 0xC0, |frame| frame[1] = 0xC9)),
        "unsupported_type",
        "arithmetic"
    );
    assert_eq!(
        result_code(&with_changed_segment("420.jpg", 0xC0, |frame| frame[1] = 0xC3)),
        "unsupported_type",
        "lossless"
    );
    assert_eq!(
        result_code(&with_changed_segment("420.jpg", 0xC0, |frame| frame.extend(frame.clone()))),
        "broken_picture",
        "two frame headers"
    );
    assert_eq!(
        result_code(&with_changed_segment("420.jpg", 0xC0, |frame| frame[11] = 0xFF)),
        "broken_picture",
        "sampling of 15"
    );
    assert_eq!(
        result_code(&with_changed_segment("420.jpg", 0xDA, |scan| scan[5] = 99)),
        "broken_picture",
        "an unknown component"
    );
}

#[test]
fn a_jpeg_with_too_many_scans_is_rejected() {
    let bytes = read_picture("420-progressive.jpg");
    let second = bytes.windows(2).enumerate().filter(|(_, two)| two == b"\xFF\xDA").nth(1).unwrap().0;
    let scan = &bytes[second..bytes[second + 2..].windows(2).position(|two| two == b"\xFF\xC4").unwrap() + second + 2];
    let endless = [&bytes[..second], &scan.repeat(5000), &bytes[second..]].concat();
    assert_eq!(result_code(&endless), "too_many_scans");
    let plain = read_picture("420.jpg");
    let start = plain.windows(2).position(|two| two == b"\xFF\xDA").unwrap();
    assert_eq!(
        result_code(&[&plain[..plain.len() - 2], &plain[start..]].concat()),
        "accepted",
        "a scan after the whole picture is ignored"
    );
}

#[test]
fn a_jpeg_with_a_missing_restart_marker_is_rejected() {
    let bytes = read_picture("restarts.jpg");
    let at = bytes.windows(2).position(|two| two == b"\xFF\xD1").unwrap();
    let mut changed = bytes.clone();
    changed[at + 1] = 0xD5;
    assert_eq!(result_code(&changed), "accepted", "the numbers of restart markers are not checked");
    changed.drain(at..at + 2);
    assert_eq!(result_code(&changed), "broken_picture");
    let none = with_changed_segment("restarts.jpg", 0xDD, |segment| segment[4..6].fill(0));
    assert_eq!(result_code(&none), "broken_picture");
}

#[test]
fn a_jpeg_with_a_profile_of_many_megabytes_is_rejected() {
    let part = |i: u8| {
        let mut segment = b"\xFF\xE2\xFF\xFFICC_PROFILE\0".to_vec();
        segment.extend([i, 200]);
        segment.resize(2 + 65_535, 0);
        segment
    };
    let bytes = read_picture("420.jpg");
    let parts: Vec<u8> = (1..=100).flat_map(part).collect();
    assert_eq!(result_code(&[&bytes[..2], &parts, &bytes[2..]].concat()), "profile_too_large");
    assert_eq!(result_code(&[&bytes[..2], &part(1), &bytes[2..]].concat()), "accepted", "a broken profile is ignored");
}

#[test]
fn known_formats_that_are_not_accepted_are_named() {
    for (head, name) in [
        (&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], "HEIC"),
        (b"\0\0\0\x1Cftypavif\0\0\0\0avifmif1miaf", "AVIF"),
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%PDF-1.7", "PDF"),
    ] {
        let rejection = render_small_png(head).unwrap_err();
        assert_eq!(rejection.code().as_str(), "unsupported_type");
        assert!(rejection.to_string().starts_with(name), "{rejection}");
    }
    assert_eq!(result_code(b""), "unsupported_type");
    assert_eq!(result_code(b"hello"), "unsupported_type");
}

#[test]
fn a_rejection_names_the_limit_and_the_actual_value() {
    let limits = Limits { max_pixels: 100, ..Limits::default() };
    let rejection = probe(&read_picture("rgb.png"), &limits).unwrap_err();
    assert_eq!(rejection, Rejection::LimitExceeded { excess: LimitKind::Pixels, limit: 100, actual: 123 * 82 });
    let limits = Limits { max_memory: 1 << 20, ..Limits::default() };
    let plan = single_output_plan(Shape::Inside(64), OutputFormat::Auto);
    let rejection = render(&read_picture("rgb.png"), &plan, &limits, &CancelFlag::new()).unwrap_err();
    assert_eq!(rejection.code().as_str(), "too_much_memory");
}

/// Large photographs of phones are cheap, because they are never decoded whole for a thumbnail.
#[test]
fn fifty_megapixels_fit_into_little_memory() {
    let large = with_changed_segment("420.jpg", 0xC0, |frame| frame[5..9].copy_from_slice(&[0x18, 0x80, 0x20, 0x00]));
    let probe = probe(&large, &Limits::default()).unwrap();
    assert_eq!((probe.width, probe.height), (8192, 6272));
    assert!(probe.memory_estimate(&single_output_plan(Shape::Inside(512), OutputFormat::Jpeg)) < 32 << 20);
    assert!(probe.memory_estimate(&single_output_plan(Shape::Full, OutputFormat::Jpeg)) > 100 << 20);
}
