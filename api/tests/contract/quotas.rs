//! Tests the quotas of each user, and clients that stop reading.

use std::time::Duration;

use bytesize::ByteSize;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::malformed_bodies::{FORM_CONTENT_TYPE, RawUpload, file_part};
use crate::test_server::{FED, PNG, TestServer, header};

#[tokio::test]
async fn the_number_of_unclaimed_pictures_has_a_quota() {
    let server = TestServer::with_settings(|settings| settings.uploads.max_unclaimed = 2).await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let first = jane.upload_picture().await;
    server.clock.advance(Duration::from_secs(60));
    jane.upload_picture().await;
    let refused = jane.upload("a.png", PNG).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(
        header(&refused, "retry-after"),
        (24 * 3600 - 60).to_string(),
        "the time until the first of the pictures expires"
    );
    assert!(refused.text().await.unwrap().contains("2 unclaimed pictures"));
    assert_eq!(joe.upload("a.png", PNG).await.status(), 200, "each user has a separate quota");
    jane.claim("users/jane", &first).await;
    assert_eq!(jane.upload("a.png", PNG).await.status(), 200);
    server.clock.advance(server.settings.uploads.retention);
    let jane = server.login("jane").await;
    assert_eq!(jane.upload("a.png", PNG).await.status(), 200, "expired pictures do not count, even before a sweep");
}

#[tokio::test]
async fn uploads_in_progress_count_as_unclaimed_pictures() {
    let server = TestServer::with_settings(|settings| settings.uploads.max_unclaimed = 2).await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let form = [file_part("a.png"), b"--B--\r\n".to_vec()].concat();
    let begin = async || {
        let length = form.len();
        let head = format!("content-type: {FORM_CONTENT_TYPE}\r\ncontent-length: {length}\r\nexpect: 100-continue");
        let mut raw = RawUpload::open(&jane, &head).await;
        raw.await_continue().await;
        raw
    };
    let (mut first, second) = (begin().await, begin().await);
    let refused = jane.upload("a.png", PNG).await;
    assert_eq!(refused.status(), 429, "both uploads in progress may become pictures");
    assert_eq!(joe.upload("a.png", PNG).await.status(), 200);
    first.send(&form).await.unwrap();
    let answer = first.response().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(jane.upload("a.png", PNG).await.status(), 429, "one picture is stored and one upload is in progress");
    // An upload whose client disconnects frees its slot as soon as the api has noticed.
    drop(second);
    let mut turns = 0;
    while jane.upload("a.png", PNG).await.status() == 429 && turns < 500 {
        turns += 1;
    }
    assert_eq!(server.backends.records.unclaimed("jane").await.unwrap().pictures, 2);
    assert_eq!(jane.upload("a.png", PNG).await.status(), 429);
}

#[tokio::test]
async fn the_bytes_of_unclaimed_pictures_have_a_quota() {
    let server =
        TestServer::with_settings(|settings| settings.uploads.max_unclaimed_bytes = ByteSize(PNG.len() as u64 + 1000))
            .await;
    let jane = server.login("jane").await;
    jane.upload_picture().await;
    let refused = jane.upload("a.png", &[PNG, &[0; 900]].concat()).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.text().await.unwrap().contains("bytes"));
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn requests_per_minute_have_a_limit() {
    let server = TestServer::with_settings(|settings| settings.uploads.max_requests_per_minute = 3).await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let name = async |login: &crate::test_server::Login<'_>, who: &str| {
        let request = login.request(Method::PUT, &format!("/api/users/{who}.{FED}")).json(&json!({"Name": "x"}));
        request.send().await.unwrap()
    };
    for _ in 0..3 {
        assert_eq!(name(&jane, "jane").await.status(), 200);
    }
    let refused = name(&jane, "jane").await;
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, "61"));
    assert_eq!(name(&joe, "joe").await.status(), 200);
    server.clock.advance(Duration::from_secs(60));
    assert_eq!(name(&jane, "jane").await.status(), 200);
}

#[tokio::test]
async fn too_many_concurrent_uploads_get_503() {
    let server = TestServer::with_settings(|settings| settings.uploads.max_concurrent = 0).await;
    let jane = server.login("jane").await;
    let response = jane.upload("a.png", PNG).await;
    assert_eq!((response.status().as_u16(), header(&response, "retry-after")), (503, "1"));
}

#[tokio::test]
async fn a_client_that_stops_reading_is_disconnected() {
    let server = TestServer::with_settings(|settings| settings.http.write_timeout = Duration::from_millis(200)).await;
    let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).await.unwrap();
    // The responses are far larger than the socket buffers, and the client does not read them.
    let request = format!("GET /api/users/jane.{FED}/avatar?size=512 HTTP/1.1\r\nhost: x\r\n\r\n");
    let requests = request.repeat(4000);
    let all_bytes = 4000 * 5137;
    stream.write_all(requests.as_bytes()).await.ok();
    // The api closes the connection while the client does not read. What can be read afterwards is what the buffers
    // held.
    let mut watch = tokio::time::interval(Duration::from_millis(100));
    let mut disconnected = false;
    for _ in 0..100 {
        watch.tick().await;
        if stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.is_err() {
            disconnected = true;
            break;
        }
    }
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.ok();
    assert!(disconnected && read.len() < all_bytes, "{disconnected}, {} of {all_bytes}", read.len());
    assert_eq!(server.anonymous(Method::GET, "/livez").send().await.unwrap().status(), 200);
}

/// Sends a file to the documents API, and returns the status and the body of the response.
async fn send_file(login: &crate::test_server::Login<'_>) -> (u16, serde_json::Value) {
    let part = reqwest::multipart::Part::bytes(PNG.to_vec()).file_name("a.png");
    let form = reqwest::multipart::Form::new().part("primaryFile", part);
    let response = login.request(Method::POST, "/documents/api/1.2/files/data").multipart(form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn stored_bytes_of_pictures_and_files_have_one_quota() {
    // The bytes of a picture are those of its original and of three squares.
    let server = TestServer::with_settings(|settings| settings.uploads.max_stored_bytes = ByteSize(20_000)).await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let stored = async || server.backends.records.usage("jane").await.unwrap().bytes;
    let mut avatars = 0;
    let refused = loop {
        let answer = jane.upload("a.png", PNG).await;
        if answer.status() != 200 {
            break answer;
        }
        jane.claim("users/jane", &answer.text().await.unwrap()).await;
        avatars += 1;
        assert!(avatars < 100, "{} bytes are stored", stored().await);
    };
    assert!(avatars > 0);
    assert_eq!(refused.status(), 429);
    let said = refused.text().await.unwrap();
    assert!(said.contains("20000 bytes") && said.contains(&stored().await.to_string()), "{said}");
    assert_eq!(server.staged_files(), 0, "the upload is refused before its body is read");
    let (status, answer) = send_file(&jane).await;
    assert_eq!(
        (status, &answer["errorCode"], &answer["errorKey"]),
        (429, &json!("-1"), &json!("!csTooManyStoredBytes"))
    );
    assert_eq!(joe.upload("a.png", PNG).await.status(), 200, "each user has a separate quota");
}

#[tokio::test]
async fn pictures_and_files_in_flight_have_one_quota() {
    let server = TestServer::with_idle_worker(|settings| {
        settings.uploads.max_in_flight = 2;
        settings.uploads.default_wait = Duration::ZERO;
    })
    .await;
    let (jane, admin) = (server.login("jane").await, server.login("admin").await);
    assert_eq!(jane.upload("a.png", PNG).await.status(), 202);
    assert_eq!(send_file(&jane).await.0, 202);
    let refused = jane.upload("a.png", PNG).await;
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, "5"));
    let said = refused.text().await.unwrap();
    assert!(said.contains("2 uploads") && said.contains("limit"), "{said}");
    assert_eq!(send_file(&jane).await.1["errorKey"], "!csTooManyInFlight");
    for _ in 0..4 {
        assert_eq!(admin.upload("a.png", PNG).await.status(), 202, "administrators are exempt");
    }
    server.run_jobs().await;
    assert_eq!(jane.upload("a.png", PNG).await.status(), 202);
    server.run_jobs().await;
}

#[tokio::test]
async fn an_upload_in_progress_counts_as_in_flight() {
    let server = TestServer::with_settings(|settings| settings.uploads.max_in_flight = 1).await;
    let jane = server.login("jane").await;
    let form = [file_part("a.png"), b"--B--\r\n".to_vec()].concat();
    let length = form.len();
    let mut raw = RawUpload::open(
        &jane,
        &format!("content-type: {FORM_CONTENT_TYPE}\r\ncontent-length: {length}\r\nexpect: 100-continue"),
    )
    .await;
    raw.await_continue().await;
    assert_eq!(send_file(&jane).await.0, 429, "the upload of a picture is in progress");
    raw.send(&form).await.unwrap();
    let answer = raw.response().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(send_file(&jane).await.0, 201);
}
