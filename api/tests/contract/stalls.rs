//! Backends that stall while a body is on its way: the time limits of a body are the client's, not the backends'.

use std::time::Duration;

use crate::bad_bodies::{FORM, Raw, file};
use crate::stand::Stand;

/// Longer than each limit below: the rate of a body counts from its sixth second.
const STALL: Duration = Duration::from_millis(6500);

/// An api that is impatient with clients: with them, none of the bodies here could take as long as the stall.
async fn stand() -> Stand {
    Stand::with(|settings| {
        settings.http.body_idle_timeout = Duration::from_secs(3);
        settings.http.body_timeout = Duration::from_secs(5);
        settings.http.body_least_rate = bytesize::ByteSize::mib(64);
    })
    .await
}

fn head(length: usize) -> String {
    format!("content-type: {FORM}\r\ncontent-length: {length}\r\nprefer: respond-async\r\nidempotency-key: k")
}

#[tokio::test]
async fn a_database_that_stalls_before_the_body_is_read() {
    let stand = stand().await;
    let jane = stand.login("jane").await;
    let body = [file("a.png"), b"--B--\r\n".to_vec()].concat();
    stand.faults.hold("records", "hold_key");
    let mut raw = Raw::open(&jane, &head(body.len())).await;
    raw.send(&body).await.unwrap();
    stand.faults.met("records", "hold_key", 1).await;
    tokio::time::sleep(STALL).await;
    stand.faults.clear();
    let answer = raw.answer().await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}

#[tokio::test]
async fn a_store_that_stalls_in_the_middle_of_a_body() {
    let stand = stand().await;
    let jane = stand.login("jane").await;
    let mut start = file("a.png");
    start.truncate(start.len() - 2);
    // More than a part, so that the store is met before the end.
    start.resize(start.len() + (1 << 20), 0);
    let rest = b"\r\n--B--\r\n";
    stand.faults.hold("staging", "begin");
    let mut raw = Raw::open(&jane, &head(start.len() + rest.len())).await;
    raw.send(&start).await.unwrap();
    stand.faults.met("staging", "begin", 1).await;
    tokio::time::sleep(STALL).await;
    stand.faults.clear();
    raw.send(rest).await.unwrap();
    let answer = raw.answer().await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}
