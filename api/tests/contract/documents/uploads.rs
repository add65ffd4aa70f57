//! Tests `POST …/data/rendition`: which uploads are accepted, in which order of parts, and with which response.

use domain::FileRole;
use reqwest::Method;
use serde_json::Value;

use super::{
    api_request, error_fields, file_part, form, get, json_part, part, post, share, start_server, status_and_text,
    upload_file, upload_rendition,
};
use crate::test_server::{PNG, header};

#[tokio::test]
async fn an_upload_is_answered_in_json_or_xml() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let response = upload_rendition(&jane, &id, "small", PNG).await;
    assert_eq!(header(&response, "content-type"), "application/json");
    assert_eq!(status_and_text(response).await, (200, format!(r#"{{"errorCode":"0","id":"{id}","type":"file"}}"#)));
    let request = api_request(&jane, Method::POST, &format!("/files/{id}/data/rendition"))
        .header("content-type", "multipart/form-data; boundary=B")
        .header("accept", "application/xml")
        .body(form(&[file_part(PNG), json_part(r#"{"name":"large"}"#)]));
    let response = request.send().await.unwrap();
    assert_eq!(header(&response, "content-type"), "application/xml");
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><file><errorCode>0</errorCode><id>{id}</id><type>file</type></file>"
    );
    assert_eq!(status_and_text(response).await, (200, expected));
    let response = get(&jane, &format!("/files/{id}/data/renditions?renditionType=uploaded")).await;
    let expected = format!(
        r#"{{"errorCode":"0","id":"{id}","type":"file","items":[{{"type":"rendition","name":"small","description":"","path":"small.png"}},{{"type":"rendition","name":"large","description":"","path":"large.png"}}]}}"#
    );
    assert_eq!(status_and_text(response).await, (200, expected));
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn parts_come_in_any_order() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let path = format!("/files/{id}/data/rendition");
    let named = |name: &str| json_part(&format!("{{\"name\":\"{name}\"}}"));
    let other = || part("name=\"note\"", b"hello");
    for (what, parts) in [
        ("first", vec![file_part(b"x"), named("first")]),
        ("last", vec![named("last"), file_part(b"x")]),
        ("among others", vec![other(), named("among others"), other(), file_part(b"x"), other()]),
    ] {
        assert_eq!(post(&jane, &path, form(&parts)).await.status(), 200, "{what}");
    }
    let twice = form(&[file_part(b"x"), named("twice"), file_part(b"y")]);
    assert_eq!(error_fields(post(&jane, &path, twice).await).await.0, 400);
    let none = form(&[named("none")]);
    let missing = (400, "-97".to_owned(), "!csRequiredFieldMissing,file".to_owned());
    assert_eq!(error_fields(post(&jane, &path, none).await).await, missing);
    assert_eq!(error_fields(post(&jane, &path, form(&[file_part(b""), named("empty")])).await).await, missing);
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn the_part_json_input_parameters_takes_precedence_over_parameters() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let path = format!("/files/{id}/data/rendition");
    let schema = |name: &str| part("name=\"jsonInputParameters\"", format!("{{\"name \":\"{name}\"}}").as_bytes());
    let body = form(&[json_part(r#"{"name":"examples"}"#), file_part(b"x"), schema("schema")]);
    assert_eq!(post(&jane, &path, body).await.status(), 200);
    let list: Value = get(&jane, &format!("{path}s?renditionType=uploaded")).await.json().await.unwrap();
    assert_eq!(list["items"][0]["name"], "schema");
    let body = form(&[schema("a"), schema("b"), file_part(b"x")]);
    assert_eq!(error_fields(post(&jane, &path, body).await).await.0, 400);
}

#[tokio::test]
async fn any_content_is_kept_as_it_is_and_pictures_get_thumbnails() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let broken = [&PNG[..40], b"not a picture any more"].concat();
    for (name, content, kind, thumbnail) in [
        ("text", &b"hello, this is text"[..], "application/octet-stream", 404),
        ("page", b"<!doctype html><script>alert(1)</script>", "text/html", 404),
        ("picture", PNG, "image/png", 200),
        ("broken", &broken, "image/png", 404),
    ] {
        assert_eq!(upload_rendition(&jane, &id, name, content).await.status(), 200, "{name}");
        let path = format!("/files/{id}/data/rendition?rendition={name}&renditionType=uploaded");
        let response = get(&jane, &path).await;
        assert_eq!(header(&response, "content-type"), kind, "{name}");
        assert_eq!(response.bytes().await.unwrap(), content, "{name}");
        let shown = get(&jane, &format!("/files/{id}/data/thumbnail?rendition={name}")).await;
        assert_eq!(shown.status(), thumbnail, "{name}");
    }
}

#[tokio::test]
async fn uploads_over_a_limit_are_refused() {
    let server = crate::test_server::TestServer::with_settings(|settings| {
        settings.documents.max_rendition_bytes = bytesize::ByteSize::kib(64);
        settings.documents.max_renditions = 2;
    })
    .await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let (status, code, _) = error_fields(upload_rendition(&jane, &id, "large", &vec![0; (64 << 10) + 1]).await).await;
    assert_eq!((status, code.as_str()), (413, "-1"));
    for (name, status) in [("a", 200), ("b", 200), ("c", 409)] {
        assert_eq!(upload_rendition(&jane, &id, name, b"x").await.status(), status, "{name}");
    }
    let long = format!(r#"{{"name":"d","description":"{}"}}"#, "d".repeat(1001));
    let body = form(&[file_part(b"x"), json_part(&long)]);
    assert_eq!(error_fields(post(&jane, &format!("/files/{id}/data/rendition"), body).await).await.0, 400);
    let fat = form(&[file_part(b"x"), json_part(&" ".repeat(70 << 10))]);
    assert_eq!(error_fields(post(&jane, &format!("/files/{id}/data/rendition"), fat).await).await.0, 413);
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn contributors_managers_and_administrators_upload() {
    let server = start_server().await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let id = upload_file(&jane).await;
    for (role, status) in
        [(FileRole::Viewer, 403), (FileRole::Downloader, 403), (FileRole::Contributor, 200), (FileRole::Manager, 200)]
    {
        share(&server, &id, "joe", role).await;
        assert_eq!(upload_rendition(&joe, &id, role.as_str(), b"x").await.status(), status, "{role:?}");
    }
    let admin = server.login("admin").await;
    assert_eq!(upload_rendition(&admin, &id, "admin", b"x").await.status(), 200);
}

#[tokio::test]
async fn a_client_that_does_not_wait_gets_202() {
    let server = crate::test_server::TestServer::with_idle_worker(|_| {}).await;
    let jane = server.login("jane").await;
    let body = form(&[part("name=\"primaryFile\"; filename=\"a.txt\"", b"text")]);
    let request =
        api_request(&jane, Method::POST, "/files/data").header("content-type", "multipart/form-data; boundary=B");
    let response = request.header("prefer", "respond-async").body(body).send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "location")), (202, "/uploads/1001"));
    let body: Value = response.json().await.unwrap();
    assert_eq!(get(&jane, &format!("/files/{}", body["id"].as_str().unwrap())).await.status(), 404);
    assert_eq!(server.run_jobs().await, 1);
    assert_eq!(get(&jane, &format!("/files/{}", body["id"].as_str().unwrap())).await.status(), 200);
}
