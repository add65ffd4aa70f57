//! Avatars: the current picture, versions, the default picture, removal.

use std::time::Duration;

use reqwest::Method;

use crate::test_server::{FED, JPEG, TestServer, header, png_size};

#[tokio::test]
async fn the_default_avatar_is_a_picture_of_any_size() {
    let server = TestServer::new().await;
    for (query, side) in
        [("", 512), ("?size=512", 512), ("?size=75", 75), ("?size=25", 25), ("?size=1", 1), ("?size=333", 333)]
    {
        let path = format!("/api/apps/whatever.{FED}/avatar{query}");
        let response = server.anonymous(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-type"), "image/png");
        let tag = header(&response, "etag").to_owned();
        assert_eq!(png_size(&response.bytes().await.unwrap()), (side, side));
        let again = server.anonymous(Method::GET, &path).header("if-none-match", tag).send().await.unwrap();
        assert_eq!(again.status(), 304);
    }
    let bad = server.anonymous(Method::GET, &format!("/api/apps/a.{FED}/avatar?size=513")).send().await.unwrap();
    assert_eq!(bad.status(), 400);
}

#[tokio::test]
async fn an_avatar_is_a_png_with_versions() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = jane.upload("a.jpg", JPEG).await.text().await.unwrap();
    jane.claim("users/jane", &id).await;
    let avatar = format!("/api/users/jane.{FED}/avatar?size=75");
    let first = server.anonymous(Method::GET, &avatar).send().await.unwrap();
    assert_eq!((first.status().as_u16(), header(&first, "content-type")), (200, "image/png"));
    let first = first.bytes().await.unwrap();
    assert_eq!(png_size(&first), (75, 75));
    let id = jane.upload_picture().await;
    jane.claim("users/jane", &id).await;
    let second = server.anonymous(Method::GET, &avatar).send().await.unwrap().bytes().await.unwrap();
    let version = async |n: &str| {
        let path = format!("/api/users/jane.{FED}/avatars/{n}?size=75");
        server.anonymous(Method::GET, &path).send().await.unwrap()
    };
    let one = version("1.png").await;
    assert_eq!(header(&one, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(one.bytes().await.unwrap(), first);
    assert_eq!(version("2.png").await.bytes().await.unwrap(), second);
    for unknown in ["3.png", "1.jpg", "x.png", "0.png", "-1.png", "99999999999999999999.png"] {
        assert_eq!(version(unknown).await.status(), 404, "{unknown}");
    }
}

#[tokio::test]
async fn the_former_avatar_stays_until_the_new_one_is_ready() {
    let server = TestServer::with_idle_worker(|settings| settings.uploads.default_wait = Duration::ZERO).await;
    let jane = server.login("jane").await;
    let tag = async || {
        let path = format!("/api/users/jane.{FED}/avatar?size=75");
        let response = server.anonymous(Method::GET, &path).send().await.unwrap();
        if response.status() == 503 {
            server.run_jobs().await;
        }
        let response = server.anonymous(Method::GET, &path).send().await.unwrap();
        header(&response, "etag").to_owned()
    };
    let default = tag().await;
    let good = jane.upload_picture().await;
    jane.claim("users/jane", &good).await;
    assert_eq!(tag().await, default);
    server.run_jobs().await;
    let shown = tag().await;
    assert_ne!(shown, default);
    let broken = jane.upload("a.jpg", &JPEG[..JPEG.len() / 2]).await.text().await.unwrap();
    assert_eq!(jane.claim("users/jane", &broken).await.status(), 200);
    assert_eq!(tag().await, shown);
    server.run_jobs().await;
    assert_eq!(tag().await, shown);
}

#[tokio::test]
async fn after_its_removal_an_avatar_is_the_default_again() {
    let server = TestServer::new().await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let former = jane.upload("a.jpg", JPEG).await.text().await.unwrap();
    jane.claim("users/jane", &former).await;
    let id = jane.upload_picture().await;
    jane.claim("users/jane", &id).await;
    let version = async |n: u32| {
        let path = format!("/api/users/jane.{FED}/avatars/{n}.png?size=75");
        server.anonymous(Method::GET, &path).send().await.unwrap().status().as_u16()
    };
    assert_eq!((version(1).await, version(2).await), (200, 200), "a replaced avatar stays");
    let tag = async || {
        let path = format!("/api/users/jane.{FED}/avatar");
        header(&server.anonymous(Method::GET, &path).send().await.unwrap(), "etag").to_owned()
    };
    let shown = tag().await;
    let path = format!("/api/users/jane.{FED}/picture");
    assert_eq!(joe.request(Method::DELETE, &path).send().await.unwrap().status(), 403);
    assert_eq!(jane.request_without_csrf(Method::DELETE, &path).send().await.unwrap().status(), 401);
    assert_eq!(jane.request(Method::DELETE, &path).send().await.unwrap().status(), 200);
    assert_ne!(tag().await, shown);
    // Neither the removed avatar nor the one that it had replaced is served by its version, and their bytes go.
    assert_eq!((version(1).await, version(2).await, version(3).await, version(4).await), (410, 410, 404, 404));
    server.sweep().await;
    assert_eq!(server.blob_files(), 0);
    assert_eq!(server.backends.records.usage("jane").await.unwrap(), records::Usage::default());
    for picture in [&former, &id] {
        let upload: serde_json::Value = jane.get(&format!("/uploads/{picture}")).await.json().await.unwrap();
        assert_eq!((&upload["state"], &upload["code"]), (&"expired".into(), &"deleted".into()));
        assert_eq!(jane.claim("users/jane", picture).await.status(), 410, "it cannot be claimed again");
    }
    let next = jane.upload_picture().await;
    jane.claim("users/jane", &next).await;
    assert_eq!(version(4).await, 200);
    let app = format!("/api/apps/jane.{FED}/picture");
    assert_eq!(jane.request(Method::DELETE, &app).send().await.unwrap().status(), 404);
}
