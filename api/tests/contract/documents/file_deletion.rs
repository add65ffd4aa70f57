//! `DELETE …/files/{id}` and `POST /service/files/{id}/restore`.

use std::time::Duration;

use domain::{FileId, FileRole, Secret};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::{
    SERVICE_KEY, api_request, error_fields, file_part, form, get, json_part, part, post, run_all_jobs, share,
    start_server, status_and_text, upload_file, upload_file_with_idle_worker, upload_rendition, wait_for_in_flight,
};
use crate::test_server::{Login, TestServer, header};

const GRACE: Duration = Duration::from_secs(168 * 3600);

fn delete(login: &Login<'_>, file: &str) -> RequestBuilder {
    api_request(login, Method::DELETE, &format!("/files/{file}"))
}

async fn restore(server: &TestServer, file: &str) -> Response {
    let path = format!("/service/files/{file}/restore");
    server.anonymous(Method::POST, &path).bearer_auth(SERVICE_KEY).send().await.unwrap()
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_deleted_file_is_gone_for_every_caller_until_it_is_restored() {
    let server = start_server().await;
    let (jane, joe, admin) = (server.login("jane").await, server.login("joe").await, server.login("admin").await);
    let file = upload_file(&jane).await;
    assert_eq!(upload_rendition(&jane, &file, "small", b"x").await.status(), 200);
    share(&server, &file, "joe", FileRole::Viewer).await;
    let link = json!({"assignedUsers": "@everybody", "role": "downloader"});
    let made = api_request(&jane, Method::POST, &format!("/publiclinks/file/{file}")).json(&link).send().await.unwrap();
    let link = made.json::<Value>().await.unwrap()["linkID"].as_str().unwrap().to_owned();
    let applink = json!({"assignedUser": "@everybody"});
    let made = api_request(&jane, Method::POST, &format!("/applinks/file/{file}")).json(&applink).send().await.unwrap();
    let applink: Value = made.json().await.unwrap();
    let text = |name: &str| applink[name].as_str().unwrap().to_owned();
    let by_link = async |path: &str| {
        let request = server.anonymous(Method::GET, &format!("/documents/api/1.1{path}"));
        request.header("linkID", &link).send().await.unwrap()
    };
    let refresh = async || {
        let request = server.anonymous(Method::PUT, "/documents/api/1.1/applinks/token");
        let request = request.header("appLinkID", text("appLinkID")).header("accessToken", text("accessToken"));
        request.header("refreshToken", text("refreshToken")).send().await.unwrap().status().as_u16()
    };
    let data = format!("/files/{file}/data");
    let bytes = get(&jane, &data).await.bytes().await.unwrap();
    let usage = server.backends.records.usage("jane").await.unwrap();
    let blobs = server.blob_files();

    let response = delete(&jane, &file).send().await.unwrap();
    assert_eq!(status_and_text(response).await, (200, format!(r#"{{"errorCode":"0","id":"{file}","type":"file"}}"#)));
    let of_file = ["", "/versions", "/data", "/data/renditions", "/data/thumbnail", "/data/rendition?rendition=page1"];
    for path in of_file.map(|path| format!("/files/{file}{path}")) {
        for user in [&jane, &joe, &admin] {
            assert_eq!(error_fields(get(user, &path).await).await, not_found("!csFileNotFound"), "{path}");
        }
    }
    let publiclink = format!("/publiclinks/{link}");
    assert_eq!(error_fields(get(&jane, &publiclink).await).await, not_found("!csLinkNotFound"));
    let list = format!("/publiclinks/file/{file}");
    assert_eq!(error_fields(get(&jane, &list).await).await, not_found("!csFileNotFound"));
    let refused = error_fields(by_link(&data).await).await;
    assert_eq!((refused.0, refused.1.as_str()), (400, "-26"));
    assert_eq!(refresh().await, 400);
    assert_eq!(upload_rendition(&jane, &file, "other", b"x").await.status(), 404);
    assert_eq!(post(&jane, &data, form(&[part("name=\"primaryFile\"; filename=\"a\"", b"a")])).await.status(), 404);
    for (method, path) in
        [(Method::GET, format!("/service/files/{file}")), (Method::DELETE, format!("/service/files/{file}/users/joe"))]
    {
        assert_eq!(status(server.anonymous(method, &path).bearer_auth(SERVICE_KEY)).await, 404, "{path}");
    }
    assert_eq!(error_fields(delete(&jane, &file).send().await.unwrap()).await, not_found("!csFileNotFound"));
    assert_eq!(server.backends.records.usage("jane").await.unwrap(), usage, "the bytes are still stored");

    assert_eq!(restore(&server, "none").await.status(), 404);
    let bare = server.anonymous(Method::POST, &format!("/service/files/{file}/restore")).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    server.clock.advance(GRACE - Duration::from_secs(1));
    assert_eq!(server.sweep().await.purged_files, 0);
    for _ in 0..2 {
        let restored: Value = restore(&server, &file).await.json().await.unwrap();
        assert_eq!((&restored["ID"], &restored["Version"]), (&json!(file), &json!(1)));
    }
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    assert_eq!(get(&jane, &data).await.bytes().await.unwrap(), bytes);
    assert_eq!(get(&joe, &format!("/files/{file}")).await.status(), 200, "the roles are restored");
    assert_eq!(by_link(&data).await.bytes().await.unwrap(), bytes);
    assert_eq!(server.blob_files(), blobs);
    let path = format!("/files/{file}/data/rendition?rendition=small&renditionType=uploaded");
    assert_eq!(get(&jane, &path).await.text().await.unwrap(), "x");
}

fn not_found(key: &str) -> (u16, String, String) {
    (404, "-16".to_owned(), key.to_owned())
}

#[tokio::test]
async fn after_the_grace_period_every_byte_goes() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let file = upload_file(&jane).await;
    upload_rendition(&jane, &file, "small", b"x").await;
    post(&jane, &format!("/files/{file}/data"), form(&[part("name=\"primaryFile\"; filename=\"a\"", b"a")])).await;
    assert_eq!(status(delete(&jane, &file)).await, 200);
    server.clock.advance(GRACE);
    let late = restore(&server, &file).await;
    assert_eq!(late.status(), 410);
    assert_eq!(late.json::<Value>().await.unwrap()["code"], "gone");
    assert_eq!(server.sweep().await.purged_files, 1);
    assert_eq!(server.blob_files(), 0);
    assert_eq!(restore(&server, &file).await.status(), 404);
    assert_eq!(server.backends.records.usage("jane").await.unwrap(), records::Usage::default());
    let jane = server.login("jane").await;
    let page: Value = jane.get("/uploads").await.json().await.unwrap();
    let uploads = page["uploads"].as_array().unwrap();
    assert_eq!(uploads.len(), 3);
    assert!(uploads.iter().all(|upload| upload["state"] == "expired" && upload["code"] == "deleted"), "{uploads:?}");
}

#[tokio::test]
async fn managers_and_the_owner_delete_a_file_and_contributors_do_not() {
    let server = start_server().await;
    let (jane, joe, admin) = (server.login("jane").await, server.login("joe").await, server.login("admin").await);
    let file = upload_file(&jane).await;
    share(&server, &file, "joe", FileRole::Contributor).await;
    let (status_of, code, key) = error_fields(delete(&joe, &file).send().await.unwrap()).await;
    assert_eq!((status_of, code.as_str()), (403, "-20"));
    let name = "joe, of the test";
    let reason = format!("!csCloudItemInsufficientPrivileges,{name},fFileGUID:{file},DELETE_FILE");
    assert_eq!(key, format!("!csFileUnableToDelete{reason}"));
    assert_eq!(status(server.anonymous(Method::DELETE, &format!("/documents/api/1.1/files/{file}"))).await, 401);
    share(&server, &file, "joe", FileRole::Manager).await;
    assert_eq!(status(delete(&joe, &file)).await, 200);
    let id: FileId = file.parse().unwrap();
    let filter = records::FilesFilter { owner: None, deleted: true };
    let row = server.backends.records.list_files(&filter, None, 9).await.unwrap().remove(0);
    assert_eq!((row.id, row.deleted_by.as_deref()), (file.clone(), Some("joe")));
    assert_eq!(row.deleted_at, Some(server.clock.now()));
    server.backends.records.restore_file(&id, "test").await.unwrap().unwrap();
    assert_eq!(status(delete(&admin, &file)).await, 200);
    // A file of another system is deleted in the same way. While it can be restored, its id is not registered again.
    let register = async || {
        let body = json!({"Name": "plan.docx", "Owner": "jane", "Version": 1});
        let request = server.anonymous(Method::PUT, "/service/files/EXT-1").bearer_auth(SERVICE_KEY).json(&body);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(register().await, 200);
    assert_eq!(status(delete(&jane, "EXT-1")).await, 200);
    assert_eq!(register().await, 409);
    assert_eq!(restore(&server, "EXT-1").await.status(), 200);
    assert_eq!(register().await, 200);
}

#[tokio::test]
async fn a_file_is_deleted_as_the_client_saw_it() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let file = upload_file(&jane).await;
    let data = format!("/files/{file}/data");
    let tag = async || header(&get(&jane, &data).await, "etag").to_owned();
    let before = tag().await;
    post(&jane, &data, form(&[part("name=\"primaryFile\"; filename=\"a\"", b"a")])).await;
    for (name, value) in [("if-match", before.as_str()), ("if-unmodified-since", "Sat, 21 Nov 2020 12:00:00 GMT")] {
        let (status_of, _, key) = error_fields(delete(&jane, &file).header(name, value).send().await.unwrap()).await;
        assert_eq!((status_of, key.as_str()), (412, "!csChanged"), "{name}");
    }
    let current = tag().await;
    // A version that arrives after the api has evaluated the condition is seen by the records.
    server.faults.start_blocking("records", "delete_file");
    let add = async {
        server.faults.wait_for_hits("records", "delete_file", 1).await;
        let added = post(&jane, &data, form(&[part("name=\"primaryFile\"; filename=\"b\"", b"b")])).await;
        assert_eq!(added.status(), 201);
        server.faults.clear();
    };
    assert_eq!(tokio::join!(status(delete(&jane, &file).header("if-match", current)), add).0, 412);
    assert_eq!(status(delete(&jane, &file).header("if-match", tag().await)).await, 200);
}

/// A rendition and a version wait for the worker when their file is deleted. Their clients are told, and nothing is kept.
#[tokio::test]
async fn uploads_in_flight_of_a_deleted_file_are_rejected() {
    let server = TestServer::with_idle_worker(|settings| settings.realm.service.keys = Secret::new(SERVICE_KEY)).await;
    let jane = server.login("jane").await;
    let file = upload_file_with_idle_worker(&jane).await;
    let blobs = server.blob_files();
    let (data, rendition) = (format!("/files/{file}/data"), format!("/files/{file}/data/rendition"));
    let delete = async {
        wait_for_in_flight(&server, 2).await;
        assert_eq!(status(delete(&jane, &file)).await, 200);
        run_all_jobs(&server).await;
    };
    let version = form(&[part("name=\"primaryFile\"; filename=\"a\"", b"a")]);
    let small = form(&[file_part(b"x"), json_part(r#"{"name":"small"}"#)]);
    let (version, small, ()) = tokio::join!(post(&jane, &data, version), post(&jane, &rendition, small), delete);
    for answer in [version, small] {
        let (status_of, _, key) = error_fields(answer).await;
        assert_eq!((status_of, key.as_str()), (422, "!csPlaceGone"));
    }
    assert_eq!(server.staged_files(), 0);
    assert_eq!(restore(&server, &file).await.status(), 200);
    server.sweep().await;
    assert_eq!(server.blob_files(), blobs, "the blobs of the first version");
}

/// An upload whose file is deleted while its bytes arrive is refused when it is admitted.
#[tokio::test]
async fn an_upload_that_arrives_after_the_deletion_is_refused() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let file = upload_file(&jane).await;
    server.faults.start_blocking("records", "admit_into_file");
    let delete = async {
        server.faults.wait_for_hits("records", "admit_into_file", 2).await;
        assert_eq!(status(delete(&jane, &file)).await, 200);
        server.faults.clear();
    };
    let data = format!("/files/{file}/data");
    let version = post(&jane, &data, form(&[part("name=\"primaryFile\"; filename=\"a\"", b"a")]));
    let (version, small, ()) = tokio::join!(version, upload_rendition(&jane, &file, "small", b"x"), delete);
    for answer in [version, small] {
        assert_eq!(error_fields(answer).await, not_found("!csFileNotFound"));
    }
    assert_eq!(server.staged_files(), 0);
}

/// The restoration is at the records when the sweeper begins the purge, and the other way round.
#[tokio::test]
async fn a_restoration_and_a_purge_have_one_winner() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    for restore_first in [true, false] {
        let jane = if restore_first { &jane } else { &server.login("jane").await };
        let file = upload_file(jane).await;
        assert_eq!(status(delete(jane, &file)).await, 200);
        server.clock.advance(GRACE - Duration::from_millis(1));
        let waits = if restore_first { "lease_due_purges" } else { "restore_file" };
        server.faults.start_blocking("records", waits);
        let (restored, purged) = if restore_first {
            let restore = async {
                server.faults.wait_for_hits("records", waits, 1).await;
                let restored = restore(&server, &file).await.status().as_u16();
                server.clock.advance(Duration::from_millis(1));
                server.faults.clear();
                restored
            };
            let (swept, restored) = tokio::join!(server.sweep(), restore);
            (restored, swept.purged_files)
        } else {
            let sweep = async {
                server.faults.wait_for_hits("records", waits, 1).await;
                server.clock.advance(Duration::from_millis(1));
                let swept = server.sweep().await;
                server.faults.clear();
                swept.purged_files
            };
            let (restored, purged) = tokio::join!(restore(&server, &file), sweep);
            (restored.status().as_u16(), purged)
        };
        assert_eq!((restored, purged), if restore_first { (200, 0) } else { (404, 1) });
        let jane = server.login("jane").await;
        let shown = get(&jane, &format!("/files/{file}")).await.status().as_u16();
        assert_eq!(shown, if restore_first { 200 } else { 404 });
    }
}
