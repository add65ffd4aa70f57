//! `DELETE /uploads/{id}`: which pictures are deleted, for whom, and what becomes of requests that meet the deletion.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use crate::documents::{start_server, upload_file, wait_for_in_flight};
use crate::test_server::{FED, JPEG, Login, TestServer, header};

fn delete(login: &Login<'_>, id: &str) -> RequestBuilder {
    login.request(Method::DELETE, &format!("/uploads/{id}"))
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

/// The status and the code of a problem document.
async fn problem(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    let problem: Value = response.json().await.unwrap();
    (status, problem["code"].as_str().unwrap().to_owned(), problem["detail"].as_str().unwrap().to_owned())
}

/// The state, the code and the last event of an upload.
async fn state(login: &Login<'_>, id: &str) -> (String, Value, String) {
    let upload: Value = login.get(&format!("/uploads/{id}")).await.json().await.unwrap();
    let last = upload["events"].as_array().unwrap().last().unwrap()["detail"].as_str().unwrap().to_owned();
    (upload["state"].as_str().unwrap().to_owned(), upload["code"].clone(), last)
}

#[tokio::test]
async fn a_deleted_picture_is_gone_at_once_and_its_bytes_with_the_next_sweep() {
    let server = TestServer::with_settings(|settings| settings.uploads.max_unclaimed = 1).await;
    let (jane, joe, admin) = (server.login("jane").await, server.login("joe").await, server.login("admin").await);
    let id = jane.upload_picture().await;
    assert_eq!(jane.upload("a.jpg", JPEG).await.status(), 429);
    let picture = format!("/api/dropbox/pictures/{id}");
    assert_eq!(status(delete(&joe, &id)).await, 404);
    assert_eq!(status(jane.request_without_csrf(Method::DELETE, &format!("/uploads/{id}"))).await, 401);
    assert_eq!(status(server.anonymous(Method::DELETE, &format!("/uploads/{id}"))).await, 401);
    assert_eq!(jane.get(&picture).await.status(), 200);
    let blobs = server.blob_files();
    for _ in 0..2 {
        let response = delete(&jane, &id).send().await.unwrap();
        assert_eq!(response.status(), 204);
        assert_eq!(response.text().await.unwrap(), "");
    }
    assert_eq!(state(&jane, &id).await, ("expired".to_owned(), "deleted".into(), "by jane".to_owned()));
    // The contract has 404 for every picture that is not there (`docs/contracts/dropbox.md`, 3.5).
    let gone = jane.get(&picture).await;
    assert_eq!(gone.status(), 404);
    assert!(gone.text().await.unwrap().contains("the picture was deleted"));
    assert_eq!(jane.crop(&id, "x=0&y=0&w=9&h=9").await.status(), 404);
    let claim = problem(jane.claim("users/jane", &id).await).await;
    assert_eq!((claim.0, claim.1.as_str()), (410, "gone"));
    assert!(claim.2.contains("was deleted"), "{}", claim.2);
    assert!(server.blob_files() == blobs && blobs > 0, "the deletion queue has them");
    server.sweep().await;
    assert_eq!(server.blob_files(), 0);
    // The quota has the place of the deleted picture again.
    let next = jane.upload_picture().await;
    assert_eq!(status(delete(&admin, &next)).await, 204);
    assert_eq!(state(&jane, &next).await.2, "by admin");
    // The contract has no DELETE at the address of the picture (5).
    let refused = jane.request(Method::DELETE, &picture).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), header(&refused, "allow")), (405, "GET, HEAD, PUT"));
    for unknown in ["9999", "0", "x"] {
        assert_eq!(status(delete(&jane, unknown)).await, 404, "{unknown}");
    }
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    jane.claim("users/jane", &id).await;
    let (status_of, code, detail) = problem(delete(&jane, &id).send().await.unwrap()).await;
    assert_eq!((status_of, code.as_str()), (409, "claimed"));
    assert!(detail.contains(&format!("users/jane.{FED}; remove that avatar")), "{detail}");
    upload_file(&jane).await;
    let page: Value = jane.get("/uploads?kind=file").await.json().await.unwrap();
    let version = page["uploads"][0]["id"].to_string();
    let (status_of, code, _) = problem(delete(&jane, &version).send().await.unwrap()).await;
    assert_eq!((status_of, code.as_str()), (409, "belongs_to_file"));
    assert_eq!(state(&jane, &version).await.0, "ready");
}

#[tokio::test]
async fn a_picture_is_deleted_as_the_client_saw_it() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    let tag = async || {
        let response = jane.get(&format!("/api/dropbox/pictures/{id}?size=512")).await;
        header(&response, "etag").to_owned()
    };
    let before = tag().await;
    assert_eq!(jane.crop(&id, "x=0&y=0&w=100&h=100").await.status(), 200);
    for (name, value) in [("if-match", before.as_str()), ("if-unmodified-since", "Sat, 21 Nov 2020 12:00:00 GMT")] {
        let refused = problem(delete(&jane, &id).header(name, value).send().await.unwrap()).await;
        assert_eq!((refused.0, refused.1.as_str()), (412, "changed"), "{name}");
    }
    assert_eq!(status(delete(&jane, &id).header("if-match", tag().await)).await, 204);
    // A deletion that was made before succeeds again, although its condition does not hold any more.
    assert_eq!(status(delete(&jane, &id).header("if-match", before)).await, 204);
}

/// A client waits for the outcome of its upload while another tab deletes the picture.
#[tokio::test]
async fn a_picture_that_waits_for_a_worker_is_cancelled() {
    let server = TestServer::with_idle_worker(|_| {}).await;
    let jane = server.login("jane").await;
    let cancel = async {
        wait_for_in_flight(&server, 1).await;
        let page: Value = jane.get("/uploads").await.json().await.unwrap();
        let id = page["uploads"][0]["id"].to_string();
        assert_eq!(status(delete(&jane, &id)).await, 204);
        id
    };
    let (answer, id) = tokio::join!(jane.upload("a.jpg", JPEG), cancel);
    // The outcome may reach the api before it waits for it. Then the records tell the same.
    assert_eq!(answer.status(), 422);
    assert!(answer.text().await.unwrap().contains("deleted"));
    assert_eq!(server.staged_files(), 0);
    let usage = server.backends.records.usage("jane").await.unwrap();
    assert_eq!(usage, records::Usage::default());
    server.run_jobs().await;
    assert_eq!(state(&jane, &id).await.0, "expired");
    assert_eq!(server.blob_files(), 0, "no attempt was made");
}

/// Deletes a picture while its job is at the operation `block` of a backend, and runs the job to its end.
async fn delete_during_the_job(backend: &'static str, block: &'static str) {
    let server = TestServer::with_idle_worker(|settings| settings.uploads.default_wait = Duration::ZERO).await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    server.faults.start_blocking(backend, block);
    let delete = async {
        server.faults.wait_for_hits(backend, block, 1).await;
        assert_eq!(status(delete(&jane, &id)).await, 204, "{block}");
        server.faults.clear();
    };
    tokio::join!(server.run_jobs(), delete);
    assert_eq!(state(&jane, &id).await.1, "deleted", "{block}");
    assert_eq!(server.backends.records.jobs(false, 9).await.unwrap().len(), 0, "{block}: a job is left");
    assert_eq!(server.staged_files(), 0, "{block}");
    server.sweep().await;
    server.clock.advance(Duration::from_secs(3600));
    server.sweep().await;
    assert_eq!(server.blob_files(), 0, "{block}: blobs of the attempt are left");
    assert_eq!(server.backends.records.stats().await.unwrap().pending_deletions, 0, "{block}");
    assert_eq!(server.backends.records.usage("jane").await.unwrap(), records::Usage::default(), "{block}");
}

#[tokio::test]
async fn a_picture_is_deleted_at_any_point_of_its_job() {
    for (backend, block) in [
        ("records", "begin_attempt"),
        ("staging", "get"),
        ("blobs", "put"),
        ("records", "settle_ready"),
        ("staging", "delete"),
    ] {
        delete_during_the_job(backend, block).await;
    }
}

/// Sends a write and a deletion of one picture. The write gets to the records and waits there until the deletion is done.
async fn delete_before(server: &TestServer, op: &'static str, write: RequestBuilder, delete: RequestBuilder) -> u16 {
    server.faults.start_blocking("records", op);
    let delete = async {
        server.faults.wait_for_hits("records", op, 1).await;
        assert_eq!(status(delete).await, 204);
        server.faults.clear();
    };
    tokio::join!(status(write), delete).0
}

/// The same in the other order: the deletion waits at the records until the write is done.
async fn delete_after(server: &TestServer, write: RequestBuilder, delete: RequestBuilder) -> u16 {
    server.faults.start_blocking("records", "delete_upload");
    let write = async {
        server.faults.wait_for_hits("records", "delete_upload", 1).await;
        assert_eq!(status(write).await, 200);
        server.faults.clear();
    };
    tokio::join!(status(delete), write).0
}

#[tokio::test]
async fn a_claim_and_a_deletion_have_one_winner() {
    let claim = |jane: &Login<'_>, id: &str| {
        jane.request(Method::PUT, &format!("/api/users/jane.{FED}")).json(&serde_json::json!({"PictureID": id}))
    };
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    assert_eq!(delete_before(&server, "claim", claim(&jane, &id), delete(&jane, &id)).await, 410);
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    assert_eq!(delete_after(&server, claim(&jane, &id), delete(&jane, &id)).await, 409);
    assert_eq!(state(&jane, &id).await.0, "ready");
}

#[tokio::test]
async fn a_crop_and_a_deletion_come_one_after_the_other() {
    let crop = |jane: &Login<'_>, id: &str| {
        let request = jane.request(Method::PUT, &format!("/api/dropbox/pictures/{id}"));
        request.header("content-type", "application/x-www-form-urlencoded").body("x=0&y=0&w=100&h=100")
    };
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    assert_eq!(delete_before(&server, "crop", crop(&jane, &id), delete(&jane, &id)).await, 404);
    for (condition, expected) in [(true, 412), (false, 204)] {
        let server = TestServer::new().await;
        let jane = server.login("jane").await;
        let id = jane.upload_picture().await;
        let shown = jane.get(&format!("/api/dropbox/pictures/{id}?size=512")).await;
        let request = delete(&jane, &id);
        let request = if condition { request.header("if-match", header(&shown, "etag")) } else { request };
        assert_eq!(delete_after(&server, crop(&jane, &id), request).await, expected);
    }
}

/// A database that fails leaves the picture as it is.
#[tokio::test]
async fn a_deletion_that_fails_changes_nothing_and_can_be_repeated() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    server.faults.start_failing("records", "delete_upload");
    assert_eq!(status(delete(&jane, &id)).await, 503);
    server.faults.clear();
    assert_eq!(state(&jane, &id).await.0, "ready");
    assert_eq!(status(delete(&jane, &id)).await, 204);
}
