//! Tests `Idempotency-Key`: a request takes effect once, however often it is sent.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{
    api_request, error_fields, file_part, form, get, json_part, part, start_server, status_and_text, upload_file,
};
use crate::test_server::{Login, PNG, TestServer, header};

async fn post_with_key(login: &Login<'_>, path: &str, key: &str, body: Vec<u8>) -> Response {
    let request = api_request(login, Method::POST, path).header("content-type", "multipart/form-data; boundary=B");
    request.header("idempotency-key", key).body(body).send().await.unwrap()
}

fn rendition_form(name: &str, content: &[u8]) -> Vec<u8> {
    form(&[file_part(content), json_part(&format!("{{\"name\":\"{name}\"}}"))])
}

#[tokio::test]
async fn a_key_repeats_its_response_refuses_other_content_and_lasts_for_a_day() {
    let server = start_server().await;
    let (jane, admin) = (server.login("jane").await, server.login("admin").await);
    let id = upload_file(&jane).await;
    let path = format!("/files/{id}/data/rendition");
    let first = status_and_text(post_with_key(&jane, &path, "k1", rendition_form("small", b"x")).await).await;
    assert_eq!(first.0, 200);
    assert_eq!(status_and_text(post_with_key(&jane, &path, "k1", rendition_form("small", b"x")).await).await, first);
    for other in [rendition_form("small", b"y"), rendition_form("Small", b"x")] {
        assert_eq!(error_fields(post_with_key(&jane, &path, "k1", other).await).await.0, 422);
    }
    assert_eq!(
        post_with_key(&admin, &path, "k1", rendition_form("small", b"x")).await.status(),
        409,
        "the same key of another user is another key"
    );
    assert_eq!(
        post_with_key(&jane, &path, "k2", rendition_form("small", b"x")).await.status(),
        409,
        "the name is taken"
    );
    assert_eq!(
        post_with_key(&jane, &path, "k2", rendition_form("large", b"x")).await.status(),
        200,
        "a key is free again after a refused request"
    );
    server.clock.advance(Duration::from_secs(24 * 3600));
    let jane = server.login("jane").await;
    assert_eq!(
        post_with_key(&jane, &path, "k1", rendition_form("other", b"z")).await.status(),
        200,
        "after a day it is a new key"
    );
    assert!(server.sweep().await.deleted_idempotency_keys > 0);
    for bad in ["", &"k".repeat(256)] {
        assert_eq!(error_fields(post_with_key(&jane, &path, bad, rendition_form("bad", b"x")).await).await.0, 400);
    }
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn every_call_that_creates_something_accepts_a_key() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let body = || form(&[part("name=\"primaryFile\"; filename=\"a.txt\"", b"text")]);
    let first = status_and_text(post_with_key(&jane, "/files/data", "file", body()).await).await;
    assert_eq!(
        (first.0, status_and_text(post_with_key(&jane, "/files/data", "file", body()).await).await),
        (201, first.clone())
    );
    let id = serde_json::from_str::<Value>(&first.1).unwrap()["id"].as_str().unwrap().to_owned();
    let path = format!("/files/{id}/data");
    let first = status_and_text(post_with_key(&jane, &path, "version", body()).await).await;
    assert_eq!((first.0, status_and_text(post_with_key(&jane, &path, "version", body()).await).await), (201, first));
    let versions: Value = get(&jane, &format!("/files/{id}/versions")).await.json().await.unwrap();
    assert_eq!(versions["count"], "2");
    for (path, body) in [
        (format!("/applinks/file/{id}"), json!({"assignedUser": "@everybody"})),
        (format!("/publiclinks/file/{id}"), json!({"assignedUsers": "@everybody", "password": "12345678"})),
    ] {
        let send = async |body: &Value| {
            let request = api_request(&jane, Method::POST, &path).header("idempotency-key", &path).json(body);
            status_and_text(request.send().await.unwrap()).await
        };
        let first = send(&body).await;
        assert_eq!((first.0, send(&body).await), (200, first), "{path}");
        assert_eq!(send(&json!({"assignedUser": "joe", "assignedUsers": "joe"})).await.0, 422, "{path}");
    }
    let upload = async |name: &str| {
        let request = jane.request(Method::POST, "/api/dropbox/pictures").header("idempotency-key", "picture");
        request.multipart(crate::test_server::form(name, PNG)).send().await.unwrap()
    };
    let first = upload("a.png").await;
    let location = header(&first, "location").to_owned();
    let first = status_and_text(first).await;
    let again = upload("a.png").await;
    assert_eq!(header(&again, "location"), location);
    assert_eq!((status_and_text(again).await, first.0), (first.clone(), 200));
    assert_eq!(upload("b.png").await.status(), 422);
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn a_key_in_flight_is_refused_until_the_first_request_is_answered() {
    let server = crate::test_server::TestServer::with_idle_worker(|_| {}).await;
    let jane = server.login("jane").await;
    let upload = async || {
        let request = jane.request(Method::POST, "/api/dropbox/pictures").header("idempotency-key", "k");
        request.multipart(crate::test_server::form("a.png", PNG)).send().await.unwrap()
    };
    let others = async {
        while server.backends.records.stats().await.unwrap().admitted == 0 {
            tokio::task::yield_now().await;
        }
        let second = upload().await;
        assert_eq!((second.status().as_u16(), header(&second, "retry-after")), (409, "1"));
        assert_eq!(server.run_jobs().await, 1);
    };
    let (first, ()) = tokio::join!(upload(), others);
    assert_eq!(status_and_text(first).await, (200, "1001".to_owned()));
    assert_eq!(status_and_text(upload().await).await, (200, "1001".to_owned()));
    assert_eq!(server.backends.records.stats().await.unwrap().admitted, 1);
}

#[tokio::test]
async fn a_client_that_disconnected_before_the_answer_gets_it_later() {
    let server = crate::test_server::TestServer::with_idle_worker(|_| {}).await;
    let jane = server.login("jane").await;
    let upload = async || {
        let request = jane.request(Method::POST, "/api/dropbox/pictures").header("idempotency-key", "k");
        request.multipart(crate::test_server::form("a.png", PNG)).send().await.unwrap()
    };
    let admitted = async {
        while server.backends.records.stats().await.unwrap().admitted == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = upload() => panic!("the worker is idle, so the request cannot be answered"),
        () = admitted => {}
    }
    assert_eq!(server.run_jobs().await, 1);
    let answer = loop {
        // Repeats until the api has noticed that the first client disconnected.
        let answer = upload().await;
        if answer.status() != 409 {
            break status_and_text(answer).await;
        }
    };
    assert_eq!(answer, (200, "1001".to_owned()));
    assert_eq!(server.backends.records.stats().await.unwrap().admitted, 1);
}

/// A temporary database fault does not keep the key locked, because the api that holds the key retries until the result
/// is recorded.
#[tokio::test]
async fn a_fault_while_a_response_is_stored_does_not_keep_the_key_locked() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let path = format!("/applinks/file/{id}");
    let send = async || {
        let request = api_request(&jane, Method::POST, &path).header("idempotency-key", "k");
        request.json(&json!({"assignedUser": "@everybody"})).send().await.unwrap()
    };
    server.faults.start_failing("records", "store_idempotent_response");
    let first = status_and_text(send().await).await;
    assert_eq!(first.0, 200, "the request has taken effect");
    let second = send().await;
    assert_eq!((second.status().as_u16(), header(&second, "retry-after")), (409, "1"));
    server.faults.wait_for_hits("records", "store_idempotent_response", 2).await;
    server.faults.clear();
    assert_eq!(retry_while_in_flight(send).await, first);
}

/// Sends a request that is refused and whose key cannot be released: the key stays locked.
async fn leave_key_locked(server: &TestServer, login: &Login<'_>, path: &str) {
    server.faults.start_failing("records", "release_idempotency_key");
    assert_eq!(post_with_key(login, path, "k", b"no form".to_vec()).await.status(), 400);
    assert_eq!(post_with_key(login, path, "k", rendition_form("small", b"x")).await.status(), 409);
}

#[tokio::test]
async fn a_fault_while_a_key_is_released_does_not_keep_it_locked() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let path = format!("/files/{id}/data/rendition");
    leave_key_locked(&server, &jane, &path).await;
    server.faults.wait_for_hits("records", "release_idempotency_key", 2).await;
    server.faults.clear();
    assert_eq!(
        retry_while_in_flight(async || post_with_key(&jane, &path, "k", rendition_form("small", b"x")).await).await.0,
        200
    );
    assert_eq!(server.staged_files(), 0);
}

/// The lock of a request expires by itself if its process cannot reach the database any more.
#[tokio::test]
async fn a_key_that_is_neither_renewed_nor_released_is_free_after_half_a_minute() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let path = format!("/files/{id}/data/rendition");
    leave_key_locked(&server, &jane, &path).await;
    server.clock.advance(Duration::from_secs(30));
    assert_eq!(post_with_key(&jane, &path, "k", rendition_form("small", b"x")).await.status(), 200);
    server.faults.clear();
}

/// Retry-After grows with the time for which the key has been locked. It never exceeds the time that is left of the
/// lock.
#[tokio::test]
async fn retry_after_grows_while_a_key_is_in_flight() {
    let server = crate::test_server::TestServer::with_idle_worker(|_| {}).await;
    let jane = server.login("jane").await;
    let lock = async |seconds: u64| {
        server.backends.records.lock_idempotency_key("user:jane", "k", Duration::from_secs(seconds)).await.unwrap();
    };
    let wait = async || {
        let request = jane.request(Method::POST, "/api/dropbox/pictures").header("idempotency-key", "k");
        let answer = request.multipart(crate::test_server::form("a.png", PNG)).send().await.unwrap();
        assert_eq!(answer.status(), 409);
        header(&answer, "retry-after").to_owned()
    };
    lock(30).await;
    assert_eq!(wait().await, "1");
    server.clock.advance(Duration::from_secs(8));
    assert_eq!(wait().await, "8");
    server.clock.advance(Duration::from_secs(17));
    assert_eq!(wait().await, "5");
}

/// Repeats the request and returns the first response that is not "in flight".
async fn retry_while_in_flight(send: impl AsyncFn() -> Response) -> (u16, String) {
    let asked = async {
        loop {
            let answer = send().await;
            if answer.status() != 409 {
                return status_and_text(answer).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asked).await.expect("the key is released")
}
