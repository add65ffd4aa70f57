//! A full or nearly full disk: uploads are refused with a reason before their bodies are sent; everything else works.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use test_support::tmpfs::Tmpfs;

use crate::malformed_bodies::RawUpload;
use crate::test_server::{PNG, TestServer, header};

async fn readyz(server: &TestServer) -> (u16, Value) {
    let response = server.anonymous(Method::GET, "/readyz").send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn below_the_reserve_uploads_are_refused_before_their_bodies_come() {
    let server = TestServer::in_folder(tempfile::tempdir().unwrap(), "1 EiB", |_| {}).await;
    let jane = server.login("jane").await;
    let head = "content-type: multipart/form-data; boundary=B\r\ncontent-length: 1000\r\nexpect: 100-continue";
    let answer = RawUpload::open(&jane, head).await.response().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("The storage of this service is full; try again later."), "{answer}");
    assert!(answer.contains("retry-after: 5\r\n"), "{answer}");
    let file = reqwest::multipart::Part::bytes(PNG).file_name("small.png");
    let form = reqwest::multipart::Form::new().part("primaryFile", file);
    let refused = jane.request(Method::POST, "/documents/api/1.2/files/data").multipart(form).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (503, "5"));
    assert_eq!(server.staged_files(), 0);
    // Requests that need no disk space are served: this api stays in service.
    let (status, report) = readyz(&server).await;
    assert_eq!((status, &report["ready"], &report["accepting"]), (200, &true.into(), &false.into()));
    assert_eq!(report["places"]["staging"], "low on space");
    assert_eq!(jane.get("/api/dropbox/pictures/1001").await.status(), 404);
}

#[tokio::test]
async fn a_full_disk_is_reported_and_loses_no_upload() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(folder.path(), "16m") else { return };
    let server = TestServer::in_folder(folder, "0 B", |_| {}).await;
    let jane = server.login("jane").await;
    let before = jane.request(Method::POST, "/api/dropbox/pictures").header("prefer", "respond-async");
    let before = before.multipart(crate::test_server::form("a.png", PNG)).send().await.unwrap();
    assert_eq!(before.status(), 202);
    let before = before.text().await.unwrap();
    server.run_jobs().await;
    let shown = format!("/api/dropbox/pictures/{before}?size=75");
    assert_eq!(jane.get(&shown).await.status(), 200);
    let filler = disk.fill();
    // A size that does not exist yet needs a job, which cannot be recorded.
    let odd = jane.get(&format!("/api/dropbox/pictures/{before}?size=97")).await;
    assert!(odd.status().as_u16() >= 400, "{}", odd.status());
    let refused = jane.upload("b.png", PNG).await;
    assert_eq!(refused.status(), 503);
    let said = refused.text().await.unwrap();
    assert_eq!(said, "The storage of this service is full; try again later.");
    assert_eq!(server.staged_files(), 0, "the refused upload leaves no bytes in staging");
    let until_reported = async {
        loop {
            let (status, report) = readyz(&server).await;
            if status == 503 && report["places"]["records"] == "full" {
                return report;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let report = tokio::time::timeout(Duration::from_secs(20), until_reported).await.unwrap();
    assert_eq!((&report["ready"], &report["accepting"]), (&false.into(), &false.into()));
    assert_eq!(jane.get(&shown).await.status(), 200, "pictures that exist are still served");

    drop(filler);
    let until_accepted = async {
        loop {
            let upload = jane.request(Method::POST, "/api/dropbox/pictures").header("prefer", "respond-async");
            let upload = upload.multipart(crate::test_server::form("c.png", PNG)).send().await.unwrap();
            if upload.status() == 202 && readyz(&server).await.0 == 200 {
                return upload.text().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let after = tokio::time::timeout(Duration::from_secs(5), until_accepted).await.unwrap();
    assert!(after.parse::<i64>().unwrap() > before.parse::<i64>().unwrap());
    server.run_jobs().await;
    // Another process sees both uploads, because an upload is committed before it is acknowledged.
    let elsewhere = server.start_with_clock(server.clock.clone()).await;
    for id in [before, after] {
        let token = elsewhere.token("jane").await;
        let status = reqwest::Client::new().get(format!("{}/uploads/{id}", elsewhere.base)).bearer_auth(token);
        let status: Value = status.send().await.unwrap().json().await.unwrap();
        assert_eq!(status["state"], "ready", "{status}");
    }
}
