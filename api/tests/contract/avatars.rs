//! Avatars: current, versions, default, removal.

use std::time::Duration;

use reqwest::Method;

use crate::stand::{FED, JPEG, Stand, header, png_size};

#[tokio::test]
async fn the_default_is_a_picture_too() {
    let stand = Stand::new().await;
    for (query, side) in
        [("", 512), ("?size=512", 512), ("?size=75", 75), ("?size=25", 25), ("?size=1", 1), ("?size=333", 333)]
    {
        let path = format!("/api/apps/whatever.{FED}/avatar{query}");
        let response = stand.nobody(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-type"), "image/png");
        let tag = header(&response, "etag").to_owned();
        assert_eq!(png_size(&response.bytes().await.unwrap()), (side, side));
        let again = stand.nobody(Method::GET, &path).header("if-none-match", tag).send().await.unwrap();
        assert_eq!(again.status(), 304);
    }
    let bad = stand.nobody(Method::GET, &format!("/api/apps/a.{FED}/avatar?size=513")).send().await.unwrap();
    assert_eq!(bad.status(), 400);
}

#[tokio::test]
async fn an_avatar_is_a_png_with_versions() {
    let stand = Stand::new().await;
    let jane = stand.login("jane").await;
    let id = jane.upload("a.jpg", JPEG).await.text().await.unwrap();
    jane.claim("users/jane", &id).await;
    let avatar = format!("/api/users/jane.{FED}/avatar?size=75");
    let first = stand.nobody(Method::GET, &avatar).send().await.unwrap();
    assert_eq!((first.status().as_u16(), header(&first, "content-type")), (200, "image/png"));
    let first = first.bytes().await.unwrap();
    assert_eq!(png_size(&first), (75, 75));
    let id = jane.picture().await;
    jane.claim("users/jane", &id).await;
    let second = stand.nobody(Method::GET, &avatar).send().await.unwrap().bytes().await.unwrap();
    let version = async |n: &str| {
        let path = format!("/api/users/jane.{FED}/avatars/{n}?size=75");
        stand.nobody(Method::GET, &path).send().await.unwrap()
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
    let stand = Stand::idle(|settings| settings.uploads.wait = Duration::ZERO).await;
    let jane = stand.login("jane").await;
    let tag = async || {
        let path = format!("/api/users/jane.{FED}/avatar?size=75");
        let response = stand.nobody(Method::GET, &path).send().await.unwrap();
        if response.status() == 503 {
            stand.work().await;
        }
        let response = stand.nobody(Method::GET, &path).send().await.unwrap();
        header(&response, "etag").to_owned()
    };
    let default = tag().await;
    let good = jane.picture().await;
    jane.claim("users/jane", &good).await;
    assert_eq!(tag().await, default);
    stand.work().await;
    let shown = tag().await;
    assert_ne!(shown, default);
    let broken = jane.upload("a.jpg", &JPEG[..JPEG.len() / 2]).await.text().await.unwrap();
    assert_eq!(jane.claim("users/jane", &broken).await.status(), 200);
    assert_eq!(tag().await, shown);
    stand.work().await;
    assert_eq!(tag().await, shown);
}

#[tokio::test]
async fn removal_goes_back_to_the_default() {
    let stand = Stand::new().await;
    let (jane, joe) = (stand.login("jane").await, stand.login("joe").await);
    let id = jane.picture().await;
    jane.claim("users/jane", &id).await;
    let tag = async || {
        let path = format!("/api/users/jane.{FED}/avatar");
        header(&stand.nobody(Method::GET, &path).send().await.unwrap(), "etag").to_owned()
    };
    let shown = tag().await;
    let path = format!("/api/users/jane.{FED}/picture");
    assert_eq!(joe.request(Method::DELETE, &path).send().await.unwrap().status(), 403);
    assert_eq!(jane.bare(Method::DELETE, &path).send().await.unwrap().status(), 401);
    assert_eq!(jane.request(Method::DELETE, &path).send().await.unwrap().status(), 200);
    assert_ne!(tag().await, shown);
    let app = format!("/api/apps/jane.{FED}/picture");
    assert_eq!(jane.request(Method::DELETE, &app).send().await.unwrap().status(), 404);
}
