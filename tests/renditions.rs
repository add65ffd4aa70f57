//! A rendition of 100 MiB goes in and comes out again, and the process stays small: bytes flow through it.

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use reqwest::{Body, Method};
use sha2::{Digest, Sha256};

use crate::portal::Portal;
use crate::process::{Folder, Process};

const PIECE: usize = 1 << 20;
const PIECES: u8 = 100;
/// What the process may grow by, whatever the size of what flows.
const LIMIT_KIB: u64 = 48 << 10;

/// Piece number `n`: no two are alike.
fn piece(n: u8) -> Bytes {
    Bytes::from(vec![n; PIECE])
}

fn form(parts: Vec<Bytes>) -> Body {
    Body::wrap_stream(stream::iter(parts.into_iter().map(Ok::<_, std::io::Error>)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_mebibytes_flow_through() {
    let folder = Folder::new();
    let process = Process::up(&folder, &[]);
    let portal = Portal::log_in(&process).await;
    let post = async |path: &str, parts: Vec<Bytes>| {
        let request = portal.request(Method::POST, path).header("content-type", "multipart/form-data; boundary=B");
        let answer = request.header("prefer", "wait=30").body(form(parts)).send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert!(matches!(status, 200 | 201), "{status}: {text}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let part = |head: &str| Bytes::from(format!("\r\n--B\r\nContent-Disposition: form-data; {head}\r\n\r\n"));
    let end = || Bytes::from_static(b"\r\n--B--\r\n");
    let small = vec![part("name=\"primaryFile\"; filename=\"a.txt\""), Bytes::from_static(b"a"), end()];
    let file = post("/documents/api/1.2/files/data", small).await;
    let before = process.memory_kib("VmRSS");

    let mut parts = vec![part("name=\"file\"; filename=\"large.bin\"")];
    parts.extend((0..PIECES).map(piece));
    parts.extend([part("name=\"parameters\""), Bytes::from_static(b"{\"name\":\"large\"}"), end()]);
    post(&format!("/documents/api/1.2/files/{file}/data/rendition"), parts).await;
    let uploaded = process.memory_kib("VmHWM");

    let path = format!("/documents/api/1.2/files/{file}/data/rendition?rendition=LARGE&renditionType=uploaded");
    let answer = portal.get(&path).await;
    assert_eq!(answer.status(), 200);
    let (mut theirs, mut ours) = (Sha256::new(), Sha256::new());
    let mut bytes = answer.bytes_stream();
    while let Some(piece) = bytes.next().await {
        theirs.update(piece.unwrap());
    }
    (0..PIECES).for_each(|n| ours.update(piece(n)));
    assert_eq!(theirs.finalize(), ours.finalize());
    let downloaded = process.memory_kib("VmHWM");
    println!(
        "100 MiB: {} MiB before, {} MiB at the upload's peak, {} MiB at the download's",
        before >> 10,
        uploaded >> 10,
        downloaded >> 10
    );
    let rise = downloaded.saturating_sub(before);
    assert!(rise < LIMIT_KIB, "the process grew by {rise} KiB");
}
