//! Tests errors caused by a concurrent request or by an internal failure: each body is compared byte for byte, in JSON
//! and in XML.

use std::time::Duration;

use domain::FileRole;
use futures::{StreamExt, stream};
use reqwest::Method;

use super::error_bodies::{CONTENT_TYPES, assert_error_body, assert_refused, with_form};
use super::{
    api_request, file_part, json_part, part, post, run_all_jobs, share, upload_file, upload_file_with_idle_worker,
    wait_for_in_flight,
};
use crate::test_server::{Login, TestServer};

fn request_with_key(login: &Login<'_>, file: &str, content: &[u8]) -> reqwest::RequestBuilder {
    let request =
        api_request(login, Method::POST, &format!("/files/{file}/data/rendition")).header("idempotency-key", "k");
    with_form(request, &[file_part(content), json_part(r#"{"name":"a"}"#)])
}

#[tokio::test]
async fn errors_of_a_key_in_flight_and_of_a_key_with_other_content() {
    let server = TestServer::with_idle_worker(|_| {}).await;
    let jane = server.login("jane").await;
    let id = upload_file_with_idle_worker(&jane).await;
    let meanwhile = async {
        wait_for_in_flight(&server, 1).await;
        let message = "A request with this Idempotency-Key is in progress; repeat this request later.";
        let words = (409, "-1", "!csInFlight", message);
        let headers = assert_refused(|| request_with_key(&jane, &id, b"x"), ("file", &id), words).await;
        assert_eq!(headers["retry-after"], "1");
        run_all_jobs(&server).await;
    };
    let (first, ()) = tokio::join!(request_with_key(&jane, &id, b"x").send(), meanwhile);
    assert_eq!(first.unwrap().status(), 200);
    let message = "This Idempotency-Key was used for a request with other content; use a new key for a new request.";
    assert_refused(|| request_with_key(&jane, &id, b"y"), ("file", &id), (422, "-1", "!csOtherContent", message)).await;
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn errors_of_a_revoked_right_and_of_a_deadline_that_passed() {
    let server = TestServer::with_idle_worker(|_| {}).await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let id = upload_file_with_idle_worker(&jane).await;
    let add = async |login: &Login<'_>, kind: &str| {
        let request = api_request(login, Method::POST, &format!("/files/{id}/data/rendition")).header("accept", kind);
        with_form(request, &[file_part(b"x"), json_part(r#"{"name":"a"}"#)]).send().await.unwrap()
    };
    let key = format!(
        "!csRenditionsUnableToAdd!csCloudItemInsufficientPrivileges,joe, of the test,fFileGUID:{id},ADD_RENDITION"
    );
    let message = format!(
        "Unable to add the rendition. User 'joe, of the test' has insufficient privilege to access fFileGUID:{id}."
    );
    let too_late = "No worker settled this upload before its deadline; try again, or ask the operator to.";
    for kind in CONTENT_TYPES {
        share(&server, &id, "joe", FileRole::Contributor).await;
        let revoke = async {
            wait_for_in_flight(&server, 1).await;
            server.backends.records.unshare_file(&id.parse().unwrap(), "joe").await.unwrap();
            run_all_jobs(&server).await;
        };
        let (answer, ()) = tokio::join!(add(&joe, kind), revoke);
        assert_error_body(kind, answer, ("file", &id), (403, "-20", &key, &message)).await;
        let late = async {
            wait_for_in_flight(&server, 1).await;
            server.clock.advance(Duration::from_secs(600));
            assert_eq!(server.sweep().await.failed, 1);
        };
        let (answer, ()) = tokio::join!(add(&jane, kind), late);
        assert_error_body(kind, answer, ("file", &id), (500, "-1", "!csDeadline", too_late)).await;
    }
    server.run_jobs().await;
}

#[tokio::test]
async fn the_error_of_a_new_file_whose_user_was_disabled() {
    let server = TestServer::with_idle_worker(|_| {}).await;
    let joe = server.login("joe").await;
    let disable = async {
        wait_for_in_flight(&server, 1).await;
        let mut gone = server.backends.records.user("joe").await.unwrap().unwrap();
        gone.disabled = true;
        server.backends.records.upsert_user(&gone).await.unwrap();
        run_all_jobs(&server).await;
    };
    let body = super::form(&[part("name=\"primaryFile\"; filename=\"a\"", b"x")]);
    let (answer, ()) = tokio::join!(post(&joe, "/files/data", body), disable);
    let (status, code, key) = super::error_fields(answer).await;
    assert_eq!((status, code.as_str()), (403, "-20"));
    assert!(key.starts_with("!csFileUnableToAdd!csCloudItemInsufficientPrivileges,joe, of the test,"), "{key}");
    assert!(key.ends_with(",ADD_FILE"), "{key}");
}

#[tokio::test]
async fn errors_of_overload_and_of_a_size_that_is_not_rendered_yet() {
    let server = TestServer::with_settings(|settings| settings.uploads.max_concurrent = 0).await;
    let jane = server.login("jane").await;
    let fresh = || {
        let request = api_request(&jane, Method::POST, "/files/data");
        with_form(request, &[part("name=\"primaryFile\"; filename=\"a\"", b"x")])
    };
    let message = "Too many files are being uploaded at once; try again in a moment.";
    let headers = assert_refused(fresh, ("file", ""), (503, "-1", "!csBusy", message)).await;
    assert_eq!(headers["retry-after"], "1");

    let server = TestServer::with_idle_worker(|settings| settings.uploads.default_wait = Duration::ZERO).await;
    let jane = server.login("jane").await;
    let id = file_without_waiting(&server, &jane).await;
    let page = || api_request(&jane, Method::GET, &format!("/files/{id}/data/rendition?rendition=page1"));
    let message = "This size is being made; try again in a moment.";
    let headers = assert_refused(page, ("file", &id), (503, "-1", "!csNotYet", message)).await;
    assert_eq!(headers["retry-after"], "1");
    server.run_jobs().await;
}

/// Creates a file on a server whose uploads do not wait for the worker, runs its job, and returns the id of the file.
async fn file_without_waiting(server: &TestServer, login: &Login<'_>) -> String {
    let body = super::form(&[part("name=\"primaryFile\"; filename=\"a.png\"", crate::test_server::PNG)]);
    let answer = post(login, "/files/data", body).await;
    assert_eq!(answer.status(), 202);
    run_all_jobs(server).await;
    answer.json::<serde_json::Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn errors_of_a_body_that_stops_and_of_lost_bytes() {
    let server =
        TestServer::with_settings(|settings| settings.http.body_idle_timeout = Duration::from_millis(300)).await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let stops = || {
        let begun = stream::iter([Ok::<_, std::io::Error>(b"--B\r\n".to_vec())]).chain(stream::pending());
        let request = api_request(&jane, Method::POST, &format!("/files/{id}/data/rendition"));
        let request = request.header("content-type", "multipart/form-data; boundary=B");
        request.body(reqwest::Body::wrap_stream(begun))
    };
    let message = "Nothing came for 0.3 seconds; send without pauses.";
    assert_refused(stops, ("file", &id), (408, "-1", "!csTooSlow", message)).await;

    assert!(server.backends.blobs.delete_prefix("uploads/3/1001-").await.unwrap() > 0);
    let get = || api_request(&jane, Method::GET, &format!("/files/{id}/data"));
    let message = "The server failed; its log has the cause.";
    assert_refused(get, ("file", &id), (500, "-1", "!csPlaceDown", message)).await;
    assert_eq!(server.staged_files(), 0);
}
