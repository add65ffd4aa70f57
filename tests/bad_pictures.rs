//! Tests invalid and hostile pictures: each gets an answer that says what was wrong, leaves nothing in staging or
//! blobs, and costs the process almost nothing.

use std::io::Write;

use test_support::portal::{PortalClient, read_picture};
use test_support::process::{DataFolder, ServerProcess};

/// Builds a PNG of these chunks, with correct checksums.
fn png(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in chunks {
        file.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        let body: Vec<u8> = kind.iter().chain(data).copied().collect();
        file.extend(&body);
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        file.extend(crc.sum().to_be_bytes());
    }
    file
}

fn header(side: u32) -> Vec<u8> {
    let mut ihdr = side.to_be_bytes().to_vec();
    ihdr.extend(side.to_be_bytes());
    ihdr.extend([8, 0, 0, 0, 0]);
    ihdr
}

fn deflated(zeros: usize) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    let block = vec![0; 1 << 20];
    for _ in 0..zeros >> 20 {
        encoder.write_all(&block).unwrap();
    }
    encoder.write_all(&block[..zeros & ((1 << 20) - 1)]).unwrap();
    encoder.finish().unwrap()
}

/// One gray pixel, and a comment that inflates to 1 GiB.
fn text_bomb() -> Vec<u8> {
    let mut text = b"Comment\0\0".to_vec();
    text.extend(deflated(1 << 30));
    png(&[(b"IHDR", header(1)), (b"zTXt", text), (b"IDAT", deflated(2)), (b"IEND", vec![])])
}

/// A file of about sixty bytes that claims to have 50000 × 50000 gray pixels.
fn giant() -> Vec<u8> {
    png(&[(b"IHDR", header(50_000)), (b"IDAT", vec![0x78, 0x9C, 0x03, 0, 0, 0, 0, 1]), (b"IEND", vec![])])
}

fn animated(frames: usize) -> Vec<u8> {
    let mut gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xFF\xFF\xFF".to_vec();
    for _ in 0..frames {
        gif.extend(b"\x2C\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
    }
    gif.push(b';');
    gif
}

fn cut(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() * 2 / 3);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_picture_gets_its_own_error_and_leaves_nothing() {
    let folder = DataFolder::new();
    let mut process = ServerProcess::start_all_in_one(&folder, &[]);
    let portal = PortalClient::log_in(&process).await;
    let peak = process.memory_kib("VmHWM");

    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("empty.jpg", vec![], 400, "empty"),
        ("text.png", b"this is no picture at all".to_vec(), 415, "JPEG"),
        ("page.html", b"<!DOCTYPE html><title>404</title>".to_vec(), 415, "HTML"),
        (
            "drawing.svg",
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>".to_vec(),
            415,
            "SVG",
        ),
        ("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(), 415, "HEIC"),
        ("scan.tif", b"II*\0\x08\0\0\0".to_vec(), 415, "TIFF"),
        ("cut.jpg", cut(read_picture("astronaut.jpg")), 422, "JPEG"),
        ("cut.png", cut(read_picture("text.png")), 422, "PNG"),
        ("giant.png", giant(), 422, "50000"),
        ("film.gif", animated(10_000), 422, "2000"),
    ];
    for (name, bytes, status, says) in cases {
        let answer = portal.upload(name, bytes).await;
        assert_eq!(answer.status(), status, "{name}");
        let body = answer.text().await.unwrap();
        assert!(body.contains(says), "{name}: \"{body}\" does not mention {says}");
        assert!(folder.staged_files().is_empty(), "{name} stays in staging");
        assert!(folder.blob_files().is_empty(), "{name} stays in blobs");
    }

    let bomb = portal.upload("comment.png", text_bomb()).await;
    assert_eq!(bomb.status(), 200, "a comment is ignored, even if it is large");
    let misnamed = portal.upload("photo.jpg", read_picture("text.png")).await;
    assert_eq!(misnamed.status(), 200, "content decides, not the name");
    let shown = portal.get(&format!("/api/dropbox/pictures/{}?size=75", misnamed.text().await.unwrap())).await;
    assert_eq!(shown.headers()["content-type"], "image/png");

    assert!(process.is_running());
    let rise = process.memory_kib("VmHWM") - peak;
    println!("the bad pictures cost {} MiB at the peak", rise >> 10);
    assert!(rise < 64 << 10, "the process grew by {rise} KiB");
}
