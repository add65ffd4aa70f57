//! Tests backends that do not answer while a request body arrives. The time limits of a body apply to the client,
//! not to the backends.

use std::time::Duration;

use crate::malformed_bodies::{FORM_CONTENT_TYPE, RawUpload, file_part};
use crate::test_server::TestServer;

/// How long a backend does not answer. Longer than each limit in [`start_server`], and longer than 6 s, because the
/// minimum rate of a body applies from its sixth second.
const STALL: Duration = Duration::from_millis(6500);

/// Starts an api whose time limits for clients are shorter than `STALL`. If the api counted the time of the backend for
/// the client, it would refuse the body.
async fn start_server() -> TestServer {
    TestServer::with_settings(|settings| {
        settings.http.body_idle_timeout = Duration::from_secs(3);
        settings.http.body_timeout = Duration::from_secs(5);
        settings.http.min_body_rate = bytesize::ByteSize::mib(64);
    })
    .await
}

fn head(length: usize) -> String {
    format!(
        "content-type: {FORM_CONTENT_TYPE}\r\ncontent-length: {length}\r\nprefer: respond-async\r\nidempotency-key: k"
    )
}

#[tokio::test]
async fn a_database_that_stalls_before_the_body_does_not_time_the_client_out() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let body = [file_part("a.png"), b"--B--\r\n".to_vec()].concat();
    server.faults.start_blocking("records", "lock_idempotency_key");
    let mut raw = RawUpload::open(&jane, &head(body.len())).await;
    raw.send(&body).await.unwrap();
    server.faults.wait_for_hits("records", "lock_idempotency_key", 1).await;
    tokio::time::sleep(STALL).await;
    server.faults.clear();
    let answer = raw.response().await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}

#[tokio::test]
async fn a_store_that_stalls_in_the_middle_of_a_body_does_not_time_the_client_out() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let mut start = file_part("a.png");
    start.truncate(start.len() - 2);
    // More than one part, so that bytes are sent to the store before the body ends.
    start.resize(start.len() + (1 << 20), 0);
    let rest = b"\r\n--B--\r\n";
    server.faults.start_blocking("staging", "begin_multipart");
    let mut raw = RawUpload::open(&jane, &head(start.len() + rest.len())).await;
    raw.send(&start).await.unwrap();
    server.faults.wait_for_hits("staging", "begin_multipart", 1).await;
    tokio::time::sleep(STALL).await;
    server.faults.clear();
    raw.send(rest).await.unwrap();
    let answer = raw.response().await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}
