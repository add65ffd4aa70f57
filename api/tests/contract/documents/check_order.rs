//! Tests the order in which a request is checked, and paths that do not exist. The wording of errors is tested in
//! `error_bodies`.

use domain::FileRole;
use reqwest::Method;

use super::{
    api_request, error_fields, form, get, json_part, post, share, start_server, upload_file, upload_rendition,
};
use crate::test_server::header;

#[tokio::test]
async fn the_order_is_401_404_403_400_409() {
    let server = start_server().await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let id = upload_file(&jane).await;
    assert_eq!(upload_rendition(&jane, &id, "small", b"x").await.status(), 200);
    // The first request has every fault. Each further request has one fault less.
    let nobody = server.anonymous(Method::POST, "/documents/api/1.1/files/none/data/rendition").body("junk");
    assert_eq!(error_fields(nobody.send().await.unwrap()).await.0, 401);
    let bad = server.anonymous(Method::POST, "/documents/api/1.1/files/none/data/rendition").bearer_auth("junk");
    assert_eq!(error_fields(bad.body("junk").send().await.unwrap()).await.0, 401);
    let unknown = api_request(&joe, Method::POST, "/files/none/data/rendition").body("junk").send().await.unwrap();
    assert_eq!(error_fields(unknown).await, (404, "-16".to_owned(), "!csFileNotFound".to_owned()));
    let path = format!("/files/{id}/data/rendition");
    assert_eq!(error_fields(api_request(&joe, Method::POST, &path).body("junk").send().await.unwrap()).await.0, 403);
    share(&server, &id, "joe", FileRole::Contributor).await;
    let (status, code, _) =
        error_fields(api_request(&joe, Method::POST, &path).body("junk").send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (400, "-1"));
    assert_eq!(error_fields(post(&joe, &path, form(&[json_part(r#"{"name":"small"}"#)])).await).await.0, 400);
    assert_eq!(error_fields(upload_rendition(&joe, &id, "small", b"x").await).await.0, 409);
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn rights_are_checked_before_the_body_is_read() {
    let server = start_server().await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let id = upload_file(&jane).await;
    // The body is never sent, and the response comes nevertheless.
    let body = reqwest::Body::wrap_stream(pending_body());
    let request = api_request(&joe, Method::POST, &format!("/files/{id}/data/rendition"))
        .header("content-type", "multipart/form-data; boundary=B")
        .header("content-length", "1000000")
        .body(body);
    assert_eq!(error_fields(request.send().await.unwrap()).await.0, 403);
    assert_eq!(server.staged_files(), 0);
}

fn pending_body() -> futures::stream::Pending<Result<Vec<u8>, std::io::Error>> {
    futures::stream::pending()
}

#[tokio::test]
async fn unknown_versions_methods_and_paths_are_refused() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    for version in ["1.0", "1.3", "2", "1.1x"] {
        let path = format!("/documents/api/{version}/files/{id}");
        let response = server.anonymous(Method::GET, &path).bearer_auth(&jane.session).send().await.unwrap();
        assert_eq!(response.status(), 404, "{version}");
    }
    let response = api_request(&jane, Method::PATCH, &format!("/files/{id}/data/rendition")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "allow")), (405, "GET, HEAD, POST, DELETE"));
    assert_eq!(error_fields(response).await.1, "-1");
    assert_eq!(error_fields(get(&jane, "/folders/none").await).await, (404, "-1".to_owned(), "!csNotFound".to_owned()));
    for (path, status) in [
        (format!("/files/{id}?version=2"), 404),
        (format!("/files/{id}?version=x"), 404),
        (format!("/files/{id}/data/renditions?renditionType=other"), 400),
        (format!("/files/{id}/data/rendition"), 400),
        (format!("/files/{id}/data/rendition?rendition=page2"), 404),
        (format!("/files/{id}/data/rendition?rendition=small&renditionType=uploaded"), 404),
        ("/files/a%20b".to_owned(), 404),
        (format!("/files/{}", "x".repeat(65)), 404),
    ] {
        assert_eq!(error_fields(get(&jane, &path).await).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn a_bad_link_and_a_missing_code_do_not_tell_which_files_exist() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let link = serde_json::json!({"assignedUsers": "@everybody", "password": "12345678"});
    let made = api_request(&jane, Method::POST, &format!("/publiclinks/file/{id}")).json(&link).send().await.unwrap();
    let link = made.json::<serde_json::Value>().await.unwrap()["linkID"].as_str().unwrap().to_owned();
    for file in [id.as_str(), "none"] {
        let get = |link: &str| {
            server.anonymous(Method::GET, &format!("/documents/api/1.1/files/{file}")).header("linkID", link)
        };
        let (status, code, _) = error_fields(get("LX").send().await.unwrap()).await;
        assert_eq!((status, code.as_str()), (400, "-26"), "{file}");
        let (status, code, _) = error_fields(get(&link).send().await.unwrap()).await;
        assert_eq!((status, code.as_str()), (403, "-18"), "{file}");
        let applink = server.anonymous(Method::GET, &format!("/documents/api/1.1/files/{file}"));
        let applink = applink.header("appLinkID", "LX").header("accessToken", "x");
        assert_eq!(error_fields(applink.send().await.unwrap()).await.0, 400, "{file}");
    }
}
