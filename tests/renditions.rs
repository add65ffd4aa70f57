//! Tests files and their renditions, from the first upload to the last deletion. Also tests a rendition of 100 MiB,
//! which is uploaded and downloaded in little memory, because its bytes are streamed.

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use test_support::portal::{PortalClient, read_picture};
use test_support::process::{DataFolder, ServerProcess};

pub const API: &str = "/documents/api/1.2";

/// Creates a file with a photograph and returns its id.
pub async fn new_file(portal: &PortalClient) -> String {
    let part = Part::bytes(read_picture("astronaut.jpg")).file_name("astronaut.jpg");
    let request = portal.request(Method::POST, &format!("{API}/files/data")).header("prefer", "wait=30");
    let answer = request.multipart(Form::new().part("primaryFile", part)).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 201, "{text}");
    serde_json::from_str::<Value>(&text).unwrap()["id"].as_str().unwrap().to_owned()
}

pub async fn new_version(prefer: &str, portal: &PortalClient, file: &str, bytes: Vec<u8>) -> Response {
    let form = Form::new().part("primaryFile", Part::bytes(bytes).file_name("next.bin"));
    let request = portal.request(Method::POST, &format!("{API}/files/{file}/data")).header("prefer", prefer);
    request.multipart(form).send().await.unwrap()
}

/// Adds a rendition as the contract's examples do, and waits for the outcome. In the form, the part with the bytes
/// comes before the part with the name.
pub async fn add_rendition(portal: &PortalClient, file: &str, name: &str, bytes: Vec<u8>) -> Response {
    add_rendition_preferring("wait=30", portal, file, name, bytes).await
}

pub async fn add_rendition_preferring(
    prefer: &str,
    portal: &PortalClient,
    file: &str,
    name: &str,
    bytes: Vec<u8>,
) -> Response {
    let form = Form::new()
        .part("file", Part::bytes(bytes).file_name("small.bin"))
        .text("parameters", json!({ "name": name }).to_string());
    let request = portal.request(Method::POST, &format!("{API}/files/{file}/data/rendition"));
    request.header("prefer", prefer).multipart(form).send().await.unwrap()
}

/// The path of an uploaded rendition.
pub fn uploaded_rendition_path(file: &str, name: &str) -> String {
    format!("{API}/files/{file}/data/rendition?rendition={name}&renditionType=uploaded")
}

/// Runs the whole scenario on any deployment. `reader` sees what `writer` uploads, and may use another process.
pub async fn run_scenario(writer: &PortalClient, reader: &PortalClient) {
    let file = new_file(writer).await;
    // These bytes need more than one part of a multipart upload to S3, and are not a picture.
    let bytes: Vec<u8> = (0..6_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(add_rendition(writer, &file, "Small", bytes.clone()).await.status(), 200);
    assert_eq!(add_rendition(writer, &file, "sMALL", bytes.clone()).await.status(), 409);
    let list = async |version: u32| {
        let path = format!("{API}/files/{file}/data/renditions?renditionType=uploaded&version={version}");
        reader.json(&path).await["items"].clone()
    };
    let small = json!({"type": "rendition", "name": "Small", "description": "", "path": "Small.bin"});
    assert_eq!(list(1).await, json!([small]));

    let path = uploaded_rendition_path(&file, "small");
    let whole = reader.get(&path).await;
    assert_eq!(whole.headers()["content-disposition"], "attachment; filename=\"Small.bin\"");
    let tag = whole.headers()["etag"].clone();
    assert!(whole.bytes().await.unwrap() == bytes, "the bytes are not those that were uploaded");
    let unchanged = reader.request(Method::GET, &path).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(unchanged.status(), 304);
    let ranged = async |range: &str| {
        let request = reader.request(Method::GET, &path).header("range", range).header("if-range", &tag);
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, headers, answer.bytes().await.unwrap())
    };
    for (range, from, to) in [("bytes=5242870-5242889", 5_242_870, 5_242_890), ("bytes=-10", 6_291_446, 6_291_456)] {
        let (status, headers, part) = ranged(range).await;
        assert_eq!((status, &part[..]), (206, &bytes[from..to]), "{range}");
        assert_eq!(headers["content-range"], format!("bytes {from}-{}/{}", to - 1, bytes.len()));
    }
    let (status, headers, parts) = ranged("bytes=0-99,6000000-6000099").await;
    assert_eq!((status, headers["content-length"].to_str().unwrap()), (206, parts.len().to_string().as_str()));
    for part in [&bytes[..100], &bytes[6_000_000..6_000_100]] {
        assert!(parts.windows(100).any(|window| window == part));
    }
    let (status, headers, nothing) = ranged("bytes=6291456-").await;
    assert_eq!((status, headers["content-range"].to_str().unwrap(), nothing.len()), (416, "bytes */6291456", 0));
    assert_eq!(reader.get(&format!("{API}/files/{file}/data/thumbnail")).await.status(), 200);

    let second = new_version("wait=30", writer, &file, b"the second".to_vec()).await;
    assert_eq!(second.status(), 201);
    assert_eq!(second.json::<Value>().await.unwrap()["version"], "2");
    assert_eq!((list(2).await, list(1).await), (json!([]), json!([small])));
    let delete = async || writer.request(Method::DELETE, &format!("{path}&version=1")).send().await.unwrap().status();
    assert_eq!((delete().await.as_u16(), delete().await.as_u16()), (200, 404));
    assert_eq!(list(1).await, json!([]));
    assert_eq!(add_rendition(writer, &file, "small", b"of the second".to_vec()).await.status(), 200);
    assert_eq!(reader.get(&path).await.text().await.unwrap(), "of the second");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rendition_scenario_works_in_one_process() {
    let folder = DataFolder::new();
    let process = ServerProcess::start_all_in_one(&folder, &[]);
    let portal = PortalClient::log_in(&process).await;
    run_scenario(&portal, &portal).await;
    assert!(folder.staged_files().is_empty(), "nothing stays in staging");
}

const PIECE: usize = 1 << 20;
const PIECES: u8 = 100;
/// The permitted growth of the process in KiB, whatever the size of the bodies.
const LIMIT_KIB: u64 = 48 << 10;

/// Piece number `n`; no two pieces are equal.
fn piece(n: u8) -> Bytes {
    Bytes::from(vec![n; PIECE])
}

fn multipart_body(parts: Vec<Bytes>) -> Body {
    Body::wrap_stream(stream::iter(parts.into_iter().map(Ok::<_, std::io::Error>)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rendition_of_100_mebibytes_needs_little_memory() {
    let folder = DataFolder::new();
    let process = ServerProcess::start_all_in_one(&folder, &[]);
    let portal = PortalClient::log_in(&process).await;
    let post = async |path: &str, parts: Vec<Bytes>| {
        let request = portal.request(Method::POST, path).header("content-type", "multipart/form-data; boundary=B");
        let answer = request.header("prefer", "wait=30").body(multipart_body(parts)).send().await.unwrap();
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
    let (mut received, mut sent) = (Sha256::new(), Sha256::new());
    let mut bytes = answer.bytes_stream();
    while let Some(piece) = bytes.next().await {
        received.update(piece.unwrap());
    }
    (0..PIECES).for_each(|n| sent.update(piece(n)));
    assert_eq!(received.finalize(), sent.finalize());
    let downloaded = process.memory_kib("VmHWM");
    println!(
        "100 MiB: {} MiB before, {} MiB at the upload's peak, {} MiB at the download's peak",
        before >> 10,
        uploaded >> 10,
        downloaded >> 10
    );
    let rise = downloaded.saturating_sub(before);
    assert!(rise < LIMIT_KIB, "the process grew by {rise} KiB");
}
