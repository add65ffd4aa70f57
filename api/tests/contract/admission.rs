//! Tests `POST /api/dropbox/pictures`: which uploads are accepted, which are refused, and with which messages.

use reqwest::Method;
use reqwest::multipart::{Form, Part};

use crate::test_server::{FED, JPEG, PNG, TestServer, form, header};

#[tokio::test]
async fn an_upload_is_answered_with_the_picture_id_alone() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let response = jane.upload("a.png", PNG).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), "text/plain");
    assert_eq!(header(&response, "cache-control"), "no-store");
    assert_eq!(header(&response, "location"), "/uploads/1001");
    assert_eq!(response.text().await.unwrap(), "1001");
    assert_eq!(jane.upload_picture().await, "1002");
    assert_eq!(server.staged_files(), 0);
}

/// If the admission of an upload fails, the api cannot know whether the upload was admitted. An admitted upload needs
/// its bytes. Otherwise the bytes are orphans, and the sweeper deletes them.
#[tokio::test]
async fn bytes_of_an_upload_whose_admission_is_uncertain_are_kept() {
    let server = TestServer::with_idle_worker(|_| {}).await;
    let jane = server.login("jane").await;
    server.faults.start_failing("records", "admit");
    let refused = jane.upload("a.png", PNG).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(server.staged_files(), 1);
    server.leaves_work();
}

#[tokio::test]
async fn the_sample_request_of_the_contract_is_accepted() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let mut body = b"-----------------------------7df1ef1d1c0a12\r\nContent-Disposition: form-data; name=\"Profile\"; \
        filename=\"C:\\fakepath\\My Picture.png\"\r\nContent-Type: image/png\r\n\r\n"
        .to_vec();
    body.extend_from_slice(PNG);
    body.extend_from_slice(b"\r\n-----------------------------7df1ef1d1c0a12--\r\n");
    let response = jane
        .request(Method::POST, "/api/dropbox/pictures")
        .header("content-type", "multipart/form-data; boundary=---------------------------7df1ef1d1c0a12")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "1001");
    let stored_name = server.backends.records.upload("1001".parse().unwrap()).await.unwrap().unwrap().filename;
    assert_eq!(stored_name, "My Picture.png");
}

#[tokio::test]
async fn the_content_decides_the_format_and_not_the_name() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    for (name, bytes, media) in [
        ("a.jpg", PNG, "image/png"),
        ("a.png", JPEG, "image/jpeg"),
        ("a", include_bytes!("pictures/small.gif"), "image/png"),
        ("a.exe", include_bytes!("pictures/small.bmp"), "image/jpeg"),
        ("a.txt", include_bytes!("pictures/small.webp"), "image/jpeg"),
    ] {
        let response = jane.upload(name, bytes).await;
        assert_eq!(response.status(), 200, "{name}");
        let id = response.text().await.unwrap();
        let shown = jane.get(&format!("/api/dropbox/pictures/{id}?size=75")).await;
        assert_eq!(shown.status(), 200, "{name}");
        assert_eq!(header(&shown, "content-type"), media, "{name}");
    }
}

#[tokio::test]
async fn refusals_say_what_is_wrong() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let truncated = &JPEG[..JPEG.len() / 2];
    for (name, bytes, status, says) in [
        ("a.png", &b""[..], 400, "empty"),
        ("a.png", b"just some text, called a picture", 415, "JPEG, PNG, GIF, BMP, WebP or ICO"),
        ("a.tif", include_bytes!("pictures/small.tif"), 415, "TIFF"),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "SVG"),
        ("a.jpg", truncated, 422, "it ends too early"),
    ] {
        let response = jane.upload(name, bytes).await;
        assert_eq!(response.status(), status, "{name}");
        assert_eq!(header(&response, "content-type"), "text/plain; charset=utf-8");
        let message = response.text().await.unwrap();
        assert!(message.contains(says), "{message}");
        assert!(!message.is_empty());
    }
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn an_upload_without_valid_credentials_is_refused_and_nothing_is_staged() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let nobody =
        server.anonymous(Method::POST, "/api/dropbox/pictures").multipart(form("a.png", PNG)).send().await.unwrap();
    assert_eq!(nobody.status(), 401);
    assert_eq!(nobody.text().await.unwrap(), "You are not logged in; log in first.");
    let bare = jane
        .request_without_csrf(Method::POST, "/api/dropbox/pictures")
        .multipart(form("a.png", PNG))
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status(), 401);
    assert!(bare.text().await.unwrap().contains("CSRF"));
    let forged = jane
        .request_without_csrf(Method::POST, "/api/dropbox/pictures")
        .header(format!("x-csrf-token_{FED}"), "TokenID%3Dforged")
        .multipart(form("a.png", PNG))
        .send()
        .await
        .unwrap();
    assert_eq!(forged.status(), 401);
    assert_eq!(server.backends.records.stats().await.unwrap().admitted, 0);
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn the_csrf_token_may_be_a_field_before_the_file() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let file = || Part::bytes(PNG).file_name("a.png");
    let field = format!("X-Csrf-Token_{FED}");
    let send = async |form: Form| {
        jane.request_without_csrf(Method::POST, "/api/dropbox/pictures").multipart(form).send().await.unwrap().status()
    };
    assert_eq!(send(Form::new().text(field.clone(), jane.csrf.clone()).part("Profile", file())).await, 200);
    assert_eq!(send(Form::new().part("Profile", file()).text(field.clone(), jane.csrf.clone())).await, 401);
    assert_eq!(send(Form::new().text(field, "nonsense").part("Profile", file())).await, 401);
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn the_prefer_header_decides_whether_a_request_waits() {
    let server = TestServer::with_idle_worker(|_| {}).await;
    let jane = server.login("jane").await;
    for (prefer, applied) in
        [("respond-async", "respond-async"), ("wait=0", "wait=0"), ("respond-async, wait=0", "respond-async, wait=0")]
    {
        let request = jane.request(Method::POST, "/api/dropbox/pictures").header("prefer", prefer);
        let response = request.multipart(form("a.png", PNG)).send().await.unwrap();
        assert_eq!(response.status(), 202);
        assert_eq!(header(&response, "preference-applied"), applied);
        let location = header(&response, "location").to_owned();
        let id = response.text().await.unwrap();
        assert_eq!(location, format!("/uploads/{id}"));
    }
    server.run_jobs().await;
    let status: serde_json::Value = jane.get("/uploads/1001").await.json().await.unwrap();
    assert_eq!(status["state"], "ready");
}

#[tokio::test]
async fn a_refusal_of_a_large_file_says_the_limit_and_the_bytes_received() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let mut large = PNG.to_vec();
    large.resize((4 << 20) + 1, 0);
    let response = jane.upload("a.png", &large).await;
    assert_eq!(response.status(), 413);
    let message = response.text().await.unwrap();
    assert!(message.contains("4194304") && message.contains("were sent"), "{message}");
    large.resize(40 << 20, 0);
    let response = jane.upload("a.png", &large).await;
    assert_eq!(response.status(), 413);
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn pictures_cannot_be_deleted_or_listed() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    let response = jane.request(Method::DELETE, &format!("/api/dropbox/pictures/{id}")).send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(header(&response, "allow"), "GET, HEAD, PUT");
    let response = jane.request(Method::GET, "/api/dropbox/pictures").send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "allow")), (405, "POST"));
}
