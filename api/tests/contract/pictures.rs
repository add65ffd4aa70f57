//! Tests `GET /api/dropbox/pictures/{id}`: sizes, media types, and access.

use std::time::Duration;

use reqwest::Method;

use crate::test_server::{JPEG, PNG, TestServer, form, header, png_size};

#[tokio::test]
async fn sizes_are_exact() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    for (query, expected) in [
        ("?size=512", (512, 512)),
        ("?size=75", (75, 75)),
        ("?size=25&s=1416", (25, 25)),
        ("?cache=false&size=1", (1, 1)),
        ("?size=333&time=1", (333, 333)),
        ("", (120, 80)),
        ("?s=1", (120, 80)),
    ] {
        let response = jane.get(&format!("/api/dropbox/pictures/{id}{query}")).await;
        assert_eq!(response.status(), 200, "{query}");
        assert_eq!(header(&response, "content-type"), "image/png");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        let length: usize = header(&response, "content-length").parse().unwrap();
        let bytes = response.bytes().await.unwrap();
        assert_eq!((png_size(&bytes), length), (expected, bytes.len()), "{query}");
    }
}

#[tokio::test]
async fn bad_sizes_and_bad_numbers_are_refused() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    for size in ["0", "513", "-1", "text", "", "1e2", "75.0", "%2B75"] {
        let response = jane.get(&format!("/api/dropbox/pictures/{id}?size={size}")).await;
        assert_eq!(response.status(), 400, "{size}");
    }
    for id in ["0", "-1", "9223372036854775808", "text", "1001x", "%00", "99999", "+1001"] {
        let response = jane.get(&format!("/api/dropbox/pictures/{id}")).await;
        assert_eq!(response.status(), 404, "{id}");
    }
}

#[tokio::test]
async fn the_client_chooses_the_media_type() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    jane.upload("a.jpg", JPEG).await;
    for (accept, kind) in [
        ("image/png", "image/png"),
        ("image/jpeg", "image/jpeg"),
        ("image/avif,image/webp,image/*,*/*;q=0.8", "image/jpeg"),
        ("*/*", "image/jpeg"),
    ] {
        for path in ["/api/dropbox/pictures/1001?size=75", "/api/dropbox/pictures/1001"] {
            let response = jane.request_without_csrf(Method::GET, path).header("accept", accept).send().await.unwrap();
            assert_eq!((response.status().as_u16(), header(&response, "content-type")), (200, kind), "{accept} {path}");
        }
    }
    let response = jane.request_without_csrf(Method::HEAD, "/api/dropbox/pictures/1001?size=75").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let tag = header(&response, "etag").to_owned();
    let again =
        jane.request_without_csrf(Method::GET, "/api/dropbox/pictures/1001?size=75").header("if-none-match", tag);
    assert_eq!(again.send().await.unwrap().status(), 304);
}

#[tokio::test]
async fn only_the_uploader_and_administrators_see_a_picture() {
    let server = TestServer::new().await;
    let (jane, joe, admin) = (server.login("jane").await, server.login("joe").await, server.login("admin").await);
    let id = jane.upload_picture().await;
    let path = format!("/api/dropbox/pictures/{id}?size=75");
    assert_eq!(jane.get(&path).await.status(), 200);
    assert_eq!(admin.get(&path).await.status(), 200);
    assert_eq!(joe.get(&path).await.status(), 404);
    assert_eq!(server.anonymous(Method::GET, &path).send().await.unwrap().status(), 401);
    assert_eq!(jane.claim("users/jane", &id).await.status(), 200);
    assert_eq!(jane.get(&path).await.status(), 404);
    let id = jane.upload_picture().await;
    server.clock.advance(Duration::from_secs(24 * 3600));
    let jane = server.login("jane").await;
    assert_eq!(jane.get(&format!("/api/dropbox/pictures/{id}")).await.status(), 404);
    server.sweep().await;
    assert_eq!(jane.get(&format!("/api/dropbox/pictures/{id}")).await.status(), 404);
}

#[tokio::test]
async fn a_request_for_an_unfinished_picture_waits_for_the_worker() {
    let server = TestServer::with_idle_worker(|settings| settings.uploads.default_wait = Duration::from_secs(30)).await;
    let jane = server.login("jane").await;
    let request = jane.request(Method::POST, "/api/dropbox/pictures").header("prefer", "respond-async");
    let id = request.multipart(form("a.png", PNG)).send().await.unwrap().text().await.unwrap();
    let path = format!("/api/dropbox/pictures/{id}?size=512");
    let work = async {
        // The answer is the picture, whether the request or the job comes first.
        while server.run_jobs().await == 0 {
            tokio::task::yield_now().await;
        }
    };
    let (response, ()) = tokio::join!(jane.get(&path), work);
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_request_waits_no_longer_than_the_settings_say() {
    let server =
        TestServer::with_idle_worker(|settings| settings.uploads.default_wait = Duration::from_millis(20)).await;
    let jane = server.login("jane").await;
    let response = jane.upload("a.png", PNG).await;
    assert_eq!(response.status(), 202);
    let id = response.text().await.unwrap();
    let response = jane.get(&format!("/api/dropbox/pictures/{id}")).await;
    assert_eq!((response.status().as_u16(), header(&response, "retry-after")), (503, "1"));
    server.run_jobs().await;
}
