//! Tests `Last-Modified` of resources whose last change has a known time, and the conditions that compare this time
//! (RFC 9110, 13).

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};

use crate::documents::{api_request, start_server, upload_file, upload_rendition};
use crate::test_server::{FED, Login, PNG, TestServer, form, header};

const NOON: &str = "Sat, 21 Nov 2026 12:00:00 GMT";
const BEFORE: &str = "Sat, 21 Nov 2026 11:59:59 GMT";
const MINUTE_LATER: &str = "Sat, 21 Nov 2026 12:01:00 GMT";

async fn ok(request: RequestBuilder) -> Response {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

/// Asserts that the response gives `at` as the time of the last change, and that the api compares each condition with
/// that time. `before` is an earlier time.
async fn assert_modified(request: impl Fn(Method) -> RequestBuilder, at: &str, before: &str) {
    for method in [Method::GET, Method::HEAD] {
        let response = ok(request(method.clone())).await;
        assert_eq!(header(&response, "last-modified"), at);
        let tag = header(&response, "etag").to_owned();
        for (conditions, expected) in [
            (&[("if-modified-since", at)][..], 304),
            (&[("if-modified-since", before)], 200),
            (&[("if-modified-since", "yesterday")], 200),
            (&[("if-modified-since", at), ("if-none-match", "\"0000\"")], 200),
            (&[("if-modified-since", before), ("if-none-match", &tag)], 304),
            (&[("if-unmodified-since", at)], 200),
            (&[("if-unmodified-since", before)], 412),
            (&[("if-unmodified-since", before), ("if-match", &tag)], 200),
        ] {
            let conditional =
                conditions.iter().fold(request(method.clone()), |request, (name, value)| request.header(*name, *value));
            let response = conditional.send().await.unwrap();
            assert_eq!(response.status(), expected, "{method} {conditions:?}");
            if expected == 304 {
                assert_eq!(header(&response, "last-modified"), at);
            }
        }
    }
}

#[tokio::test]
async fn a_picture_is_modified_when_it_is_ready_or_cropped() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    let picture = |size: u32| {
        let path = format!("/api/dropbox/pictures/{id}?size={size}");
        let jane = &jane;
        move |method| jane.request(method, &path)
    };
    assert_modified(picture(75), NOON, BEFORE).await;
    // A size that is rendered later shows the same picture, so it has the same time.
    server.clock.advance(Duration::from_secs(60));
    assert_modified(picture(33), NOON, BEFORE).await;
    assert_eq!(jane.crop(&id, "x=0&y=0&w=100&h=100").await.status(), 200);
    assert_modified(picture(75), MINUTE_LATER, NOON).await;
}

#[tokio::test]
async fn an_avatar_is_modified_when_it_begins_to_be_shown() {
    let server = TestServer::with_idle_worker(|_| {}).await;
    let jane = server.login("jane").await;
    let path = format!("/api/users/jane.{FED}/avatar?size=75");
    let avatar = |method| server.anonymous(method, &path);
    let default = ok(avatar(Method::GET).header("if-modified-since", NOON)).await;
    assert_eq!(default.headers().get("last-modified"), None, "the default avatar has no time");
    // A picture is claimed before it is ready. Until it is ready, clients get the former avatar. So the time is that at
    // which the picture became ready.
    let first = upload_lazily(&jane).await;
    assert_eq!(jane.claim("users/jane", &first).await.status(), 200);
    server.clock.advance(Duration::from_secs(60));
    server.run_jobs().await;
    assert_modified(avatar, MINUTE_LATER, NOON).await;
    // A picture is ready before it is claimed, so the time is that of the claim.
    let second = upload_lazily(&jane).await;
    server.run_jobs().await;
    server.clock.advance(Duration::from_secs(60));
    assert_eq!(jane.claim("users/jane", &second).await.status(), 200);
    assert_modified(avatar, "Sat, 21 Nov 2026 12:02:00 GMT", MINUTE_LATER).await;
}

/// Uploads a picture without waiting for the worker, and returns its PictureID.
async fn upload_lazily(login: &Login<'_>) -> String {
    let request = login.request(Method::POST, "/api/dropbox/pictures").header("prefer", "respond-async");
    request.multipart(form("a.png", PNG)).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn a_file_and_its_renditions_are_modified_when_they_are_ready() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    server.clock.advance(Duration::from_secs(60));
    assert_eq!(upload_rendition(&jane, &id, "small", PNG).await.status(), 200);
    let at = |path: &str| {
        let (jane, path) = (&jane, format!("/files/{id}/data{path}"));
        move |method| api_request(jane, method, &path)
    };
    for path in ["", "/rendition?rendition=page1", "/rendition?rendition=thumbnail1", "/thumbnail"] {
        assert_modified(at(path), NOON, BEFORE).await;
    }
    for path in ["/rendition?rendition=small&renditionType=uploaded", "/thumbnail?rendition=small"] {
        assert_modified(at(path), MINUTE_LATER, NOON).await;
    }
}

/// Two versions may be added in one second, so a date does not tell which of them the client has.
#[tokio::test]
async fn a_date_in_if_range_never_matches() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let path = format!("/files/{}/data", upload_file(&jane).await);
    let request = || api_request(&jane, Method::GET, &path);
    let tag = header(&ok(request()).await, "etag").to_owned();
    for (validator, status) in [(tag.as_str(), 206), (NOON, 200), (BEFORE, 200)] {
        let part = request().header("range", "bytes=0-9").header("if-range", validator).send().await.unwrap();
        assert_eq!(part.status(), status, "{validator}");
    }
}
