//! Tests concurrent requests, and permissions that change while a request waits.

use domain::FileRole;
use futures::future::join_all;
use reqwest::Method;

use super::{
    api_request, error_fields, file_part, form, get, json_part, part, run_all_jobs, share, status_and_text,
    upload_file, upload_file_with_idle_worker, upload_rendition, wait_for_in_flight,
};
use crate::test_server::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn one_of_200_concurrent_renditions_gets_the_name() {
    let server =
        TestServer::with_settings(|settings| settings.uploads.default_wait = std::time::Duration::from_secs(30)).await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let bases = [server.base.clone(), server.start_second().await];
    let sent = (0..200_usize).map(|n| {
        let name = if n % 3 == 0 { "Small" } else { "smaLL" };
        let request = server.client.post(format!("{}/documents/api/1.1/files/{id}/data/rendition", bases[n % 2]));
        let request = request.bearer_auth(&jane.session).header("content-type", "multipart/form-data; boundary=B");
        let json = format!("{{\"name\":\"{name}\"}}");
        request.body(form(&[file_part(format!("{n}").as_bytes()), json_part(&json)])).send()
    });
    let statuses: Vec<u16> = join_all(sent).await.into_iter().map(|answer| answer.unwrap().status().as_u16()).collect();
    let count = |status| statuses.iter().filter(|answer| **answer == status).count();
    assert_eq!((count(200), count(409)), (1, 199), "{statuses:?}");
    assert_eq!(server.staged_files(), 0);
    let stats = server.backends.records.stats().await.unwrap();
    assert_eq!((stats.admitted, stats.unaccounted()), (2, 0));
}

#[tokio::test]
async fn an_upload_is_refused_if_its_permission_is_revoked_meanwhile() {
    let server = TestServer::with_idle_worker(|_| {}).await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let id = upload_file_with_idle_worker(&jane).await;
    share(&server, &id, "joe", FileRole::Contributor).await;
    let revoke = async {
        wait_for_in_flight(&server, 1).await;
        assert_eq!(
            error_fields(upload_rendition(&jane, &id, "SMALL", b"x").await).await.0,
            409,
            "the name is reserved"
        );
        server.backends.records.unshare_file(&id.parse().unwrap(), "joe").await.unwrap();
        run_all_jobs(&server).await;
    };
    let (answer, ()) = tokio::join!(upload_rendition(&joe, &id, "small", b"x"), revoke);
    let (status, code, key) = error_fields(answer).await;
    assert_eq!((status, code.as_str()), (403, "-20"));
    assert!(key.ends_with(&format!(",fFileGUID:{id},ADD_RENDITION")), "{key}");
    let list = get(&jane, &format!("/files/{id}/data/renditions?renditionType=uploaded")).await;
    assert!(status_and_text(list).await.1.contains(r#""items":[]"#), "nothing was promoted");
    assert_eq!(server.staged_files(), 0);
    let (answer, ()) = tokio::join!(upload_rendition(&jane, &id, "small", b"x"), run_all_jobs(&server));
    assert_eq!(answer.status(), 200, "the refused upload no longer reserves the name");
}

#[tokio::test]
async fn an_upload_is_refused_if_its_link_is_revoked_meanwhile() {
    let server = TestServer::with_idle_worker(|_| {}).await;
    let jane = server.login("jane").await;
    let id = upload_file_with_idle_worker(&jane).await;
    let rendition_form = || form(&[file_part(b"x"), json_part(r#"{"name":"small"}"#)]);
    let body = serde_json::json!({"assignedUsers": "@everybody", "role": "contributor"});
    let made = api_request(&jane, Method::POST, &format!("/publiclinks/file/{id}")).json(&body).send().await.unwrap();
    let link = made.json::<serde_json::Value>().await.unwrap()["linkID"].as_str().unwrap().to_owned();
    let request = server.anonymous(Method::POST, &format!("/documents/api/1.2/files/{id}/data/rendition"));
    let request = request.header("linkID", &link).header("content-type", "multipart/form-data; boundary=B");
    let revoke = async {
        wait_for_in_flight(&server, 1).await;
        let revoked = api_request(&jane, Method::DELETE, &format!("/publiclinks/{link}")).send().await.unwrap();
        assert_eq!(revoked.status(), 200);
        run_all_jobs(&server).await;
    };
    let (answer, ()) = tokio::join!(request.body(rendition_form()).send(), revoke);
    let (status, code, _) = error_fields(answer.unwrap()).await;
    assert_eq!((status, code.as_str()), (403, "-20"));
    assert_eq!(server.staged_files(), 0);
    let list = get(&jane, &format!("/files/{id}/data/renditions?renditionType=uploaded")).await;
    assert!(status_and_text(list).await.1.contains(r#""items":[]"#), "nothing was promoted");
}

#[tokio::test]
async fn a_rendition_belongs_to_the_version_that_was_latest_at_its_start() {
    let server = TestServer::with_idle_worker(|_| {}).await;
    let jane = server.login("jane").await;
    let new = form(&[part("name=\"primaryFile\"; filename=\"a.txt\"", b"a")]);
    let id = upload_file_with_idle_worker(&jane).await;
    // The rendition is uploaded while the second version waits for the worker. Then the worker processes both.
    let request = api_request(&jane, Method::POST, &format!("/files/{id}/data")).header("prefer", "respond-async");
    let second = request.header("content-type", "multipart/form-data; boundary=B").body(new).send().await.unwrap();
    assert_eq!(second.status(), 202);
    let request =
        api_request(&jane, Method::POST, &format!("/files/{id}/data/rendition")).header("prefer", "respond-async");
    let body = form(&[file_part(b"of the first"), json_part(r#"{"name":"small"}"#)]);
    let answer = request.header("content-type", "multipart/form-data; boundary=B").body(body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(server.run_jobs().await, 2);
    let path = format!("/files/{id}/data/rendition?rendition=small&renditionType=uploaded");
    assert_eq!(get(&jane, &path).await.status(), 404, "the second version is the latest now");
    assert_eq!(get(&jane, &format!("{path}&version=1")).await.text().await.unwrap(), "of the first");
}

#[tokio::test]
async fn each_concurrent_request_gets_its_own_version_number() {
    let server = TestServer::with_idle_worker(|_| {}).await;
    let jane = server.login("jane").await;
    let id = upload_file_with_idle_worker(&jane).await;
    let path = format!("/files/{id}/data");
    let add = async |name: &str| {
        let body = form(&[part(&format!("name=\"primaryFile\"; filename=\"{name}\""), b"x")]);
        let made = super::post(&jane, &path, body).await.json::<serde_json::Value>().await.unwrap();
        assert_eq!(made["name"], name);
        made["version"].as_str().unwrap().to_owned()
    };
    // Both uploads are ready before either request is answered.
    let both = async {
        wait_for_in_flight(&server, 2).await;
        run_all_jobs(&server).await;
    };
    let (one, other, ()) = tokio::join!(add("one.txt"), add("other.txt"), both);
    let mut versions = [one, other];
    versions.sort_unstable();
    assert_eq!(versions, ["2", "3"]);
}

#[tokio::test]
async fn a_failed_upload_gives_its_name_back() {
    let server = TestServer::with_idle_worker(|_| {}).await;
    let jane = server.login("jane").await;
    let id = upload_file_with_idle_worker(&jane).await;
    let lazily = async |name: &str| {
        let request =
            api_request(&jane, Method::POST, &format!("/files/{id}/data/rendition")).header("prefer", "respond-async");
        let body = form(&[file_part(b"x"), json_part(&format!("{{\"name\":\"{name}\"}}"))]);
        request.header("content-type", "multipart/form-data; boundary=B").body(body).send().await.unwrap().status()
    };
    assert_eq!(lazily("small").await, 202);
    assert_eq!(lazily("SMALL").await, 409);
    server.clock.advance(std::time::Duration::from_secs(600));
    assert_eq!(server.sweep().await.failed, 1);
    assert_eq!(lazily("SMALL").await, 202, "the name is free once the first upload has failed");
    let dead = server.backends.records.jobs(true, 10).await.unwrap();
    let retried = server.backends.records.retry_job(dead[0].id, std::time::Duration::from_secs(60)).await.unwrap();
    assert!(retried.is_none(), "the first upload cannot be retried, because another upload has its name");
    server.run_jobs().await;
}
