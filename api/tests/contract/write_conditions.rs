//! Tests `If-Match` and `If-Unmodified-Since` on writes to resources that have an ETag.

use std::time::Duration;

use domain::Secret;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::documents::{
    SERVICE_KEY, api_request, file_part, form, json_part, part, start_server, upload_file, upload_file_with_idle_worker,
};
use crate::test_server::{FED, JPEG, Login, PNG, TestServer, header};

const LONG_AGO: &str = "Sat, 21 Nov 2020 12:00:00 GMT";
const LATER: &str = "Sun, 21 Nov 2027 12:00:00 GMT";
const OTHER_TAG: &str = "\"0000\"";

async fn status(request: RequestBuilder) -> u16 {
    let response = request.send().await.unwrap();
    let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
    assert!(status != 412 || text.contains("If-Match") || text.contains("If-Unmodified-Since"), "{text}");
    status
}

async fn tag(login: &Login<'_>, path: &str) -> String {
    let response = login.get(path).await;
    assert_eq!(response.status(), 200);
    header(&response, "etag").to_owned()
}

/// Sends a write several times, each time with a condition that does not hold, and asserts that the status is 412.
async fn assert_refused(write: impl Fn() -> RequestBuilder, old_tag: &str) {
    for (name, value) in [
        ("if-match", OTHER_TAG.to_owned()),
        ("if-match", format!("W/{old_tag}")),
        ("if-match", old_tag.to_owned()),
        ("if-unmodified-since", LONG_AGO.to_owned()),
    ] {
        assert_eq!(status(write().header(name, &value)).await, 412, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_crop_is_made_only_if_the_condition_holds() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let path = format!("/api/dropbox/pictures/{}", jane.upload_picture().await);
    let crop = |fields: &'static str| {
        let request = jane.request(Method::PUT, &path);
        request.header("content-type", "application/x-www-form-urlencoded").body(fields)
    };
    let first = tag(&jane, &format!("{path}?size=512")).await;
    assert_eq!(status(crop("x=0&y=0&w=100&h=100").header("if-match", &first)).await, 200);
    let whole = || crop("x=0&y=0&w=512&h=512");
    assert_refused(whole, &first).await;
    // The sizes of a picture have different ETags. A write accepts the ETag of any size.
    let (small, large) = (tag(&jane, &format!("{path}?size=75")).await, tag(&jane, &format!("{path}?size=512")).await);
    assert_ne!(small, large);
    assert_eq!(status(crop("x=0&y=0&w=90&h=90").header("if-match", format!("{OTHER_TAG}, {small}"))).await, 200);
    assert_eq!(status(whole().header("if-match", "*")).await, 200);
    assert_eq!(status(whole().header("if-unmodified-since", LATER)).await, 200);
    assert_eq!(status(whole().header("if-unmodified-since", "not a date")).await, 200);
    // A crop sets the time of the last change, so an earlier `If-Unmodified-Since` no longer holds.
    let before = "Sat, 21 Nov 2026 12:00:30 GMT";
    server.clock.advance(Duration::from_secs(60));
    let other = crop("x=0&y=0&w=80&h=80");
    assert_eq!(status(other.header("if-unmodified-since", before)).await, 200);
    assert_eq!(status(whole().header("if-unmodified-since", before)).await, 412);
}

#[tokio::test]
async fn an_avatar_changes_only_if_the_condition_holds() {
    let server = TestServer::with_settings(|settings| settings.realm.service.keys = Secret::new(SERVICE_KEY)).await;
    let jane = server.login("jane").await;
    let (avatar, user) = (format!("/api/users/jane.{FED}/avatar"), format!("/api/users/jane.{FED}"));
    let default_tag = tag(&jane, &format!("{avatar}?size=75")).await;
    let claim = |id: &str| jane.request(Method::PUT, &user).json(&json!({"PictureID": id}));
    let (first, second) = (jane.upload_picture().await, jane.upload("a.jpg", JPEG).await.text().await.unwrap());
    assert_eq!(status(claim(&first).header("if-match", OTHER_TAG)).await, 412);
    assert_eq!(status(claim(&first).header("if-match", &default_tag)).await, 200);
    assert_refused(|| claim(&second), &default_tag).await;
    let shown = tag(&jane, &format!("{avatar}?size=75")).await;
    let service = || {
        let path = format!("/service/users/jane.{FED}/claim/jane.{FED}");
        server.anonymous(Method::PUT, &path).bearer_auth(SERVICE_KEY).json(&json!({"PictureID": second}))
    };
    assert_refused(service, &default_tag).await;
    assert_eq!(status(service().header("if-match", &shown)).await, 200);
    let remove = || jane.request(Method::DELETE, &format!("{user}/picture"));
    assert_refused(remove, &shown).await;
    let shown = tag(&jane, &avatar).await;
    assert_eq!(status(remove().header("if-match", &shown)).await, 200);
    assert_eq!(tag(&jane, &format!("{avatar}?size=75")).await, default_tag);
    let third = jane.upload_picture().await;
    assert_eq!(status(claim(&third).header("if-match", &shown)).await, 412);
}

/// A client that repeats a write because the response was lost has the ETag from before the write. That ETag no
/// longer matches, but the repeated write succeeds (RFC 9110, 13.1.1, and `docs/contracts/dropbox.md`, 6.3).
#[tokio::test]
async fn a_repeated_write_succeeds_with_its_old_condition() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let (id, user) = (jane.upload_picture().await, format!("/api/users/jane.{FED}"));
    let (picture, avatar) = (format!("/api/dropbox/pictures/{id}"), format!("{user}/avatar"));
    let unclaimed = tag(&jane, &picture).await;
    let crop = || {
        let request = jane.request(Method::PUT, &picture).header("if-match", &unclaimed);
        request.header("content-type", "application/x-www-form-urlencoded").body("x=0&y=0&w=100&h=100")
    };
    assert_eq!(status(crop()).await, 200);
    assert_eq!(status(crop()).await, 200);
    let (unclaimed, default_tag) = (tag(&jane, &picture).await, tag(&jane, &avatar).await);
    let claim = |tag: &str, name: &str| {
        jane.request(Method::PUT, &user).json(&json!({"PictureID": id, "Name": name})).header("if-match", tag)
    };
    assert_eq!(status(claim(&default_tag, "Jane")).await, 200);
    for before in [&default_tag, &unclaimed] {
        assert_eq!(status(claim(before, "Jane")).await, 200);
    }
    let late = jane.request(Method::PUT, &user).json(&json!({"PictureID": id}));
    assert_eq!(status(late.header("if-unmodified-since", LONG_AGO)).await, 200);
    assert_eq!(status(claim(&default_tag, "Joe")).await, 412, "a claim with another name is another write");
    let shown = tag(&jane, &avatar).await;
    for _ in 0..2 {
        let remove = jane.request(Method::DELETE, &format!("{user}/picture")).header("if-match", &shown);
        assert_eq!(status(remove).await, 200);
    }
}

/// Sends two writes whose conditions hold when the api evaluates them, and lets the records carry them out after that.
/// Returns their statuses, the lower one first.
async fn race(server: &TestServer, operation: &'static str, writes: [RequestBuilder; 2]) -> [u16; 2] {
    server.faults.start_blocking("records", operation);
    let [first, second] = writes;
    let release = async {
        server.faults.wait_for_hits("records", operation, 2).await;
        server.faults.clear();
    };
    let (first, second, ()) = tokio::join!(status(first), status(second), release);
    let mut statuses = [first, second];
    statuses.sort_unstable();
    statuses
}

#[tokio::test]
async fn one_of_two_writes_with_the_same_etag_succeeds() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let (id, user) = (jane.upload_picture().await, format!("/api/users/jane.{FED}"));
    let picture = format!("/api/dropbox/pictures/{id}");
    let shown = tag(&jane, &picture).await;
    let crop = |side: u32| {
        let request = jane.request(Method::PUT, &picture).header("if-match", &shown);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(format!("x=0&y=0&w={side}&h={side}"))
    };
    assert_eq!(race(&server, "crop", [crop(100), crop(200)]).await, [200, 412]);
    let other = jane.upload("a.jpg", JPEG).await.text().await.unwrap();
    let default_tag = tag(&jane, &format!("{user}/avatar")).await;
    let claim = |id: &str| jane.request(Method::PUT, &user).json(&json!({"PictureID": id}));
    let claims = [&id, &other].map(|id| claim(id).header("if-match", &default_tag));
    let server = &server;
    assert_eq!(race(server, "claim", claims).await, [200, 412]);

    let file = upload_file(&jane).await;
    let data = format!("/files/{file}/data");
    let response = api_request(&jane, Method::GET, &data).send().await.unwrap();
    let file_tag = header(&response, "etag").to_owned();
    let version = |content: &[u8]| {
        let request = api_request(&jane, Method::POST, &data).header("if-match", &file_tag);
        let request = request.header("content-type", "multipart/form-data; boundary=B");
        request.body(form(&[part("name=\"primaryFile\"; filename=\"a.txt\"", content)]))
    };
    // Both writes are sent with the ETag of the first version. The api or the records may refuse the second one.
    assert_eq!(race(server, "admit_into_file", [version(b"one"), version(b"two")]).await, [201, 412]);
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn a_version_or_avatar_in_processing_counts_as_a_change() {
    let server = TestServer::with_idle_worker(|_| {}).await;
    let jane = server.login("jane").await;
    let file = upload_file_with_idle_worker(&jane).await;
    let data = format!("/files/{file}/data");
    let response = api_request(&jane, Method::GET, &data).send().await.unwrap();
    let file_tag = header(&response, "etag").to_owned();
    let version = || {
        let request = api_request(&jane, Method::POST, &data).header("if-match", &file_tag);
        let request = request.header("content-type", "multipart/form-data; boundary=B");
        let request = request.header("prefer", "respond-async");
        request.body(form(&[part("name=\"primaryFile\"; filename=\"a.jpg\"", JPEG)]))
    };
    assert_eq!(status(version()).await, 202);
    assert_eq!(
        status(version()).await,
        412,
        "the version in processing is not shown yet, and its change would be lost"
    );
    let user = format!("/api/users/jane.{FED}");
    let default_tag = tag(&jane, &format!("{user}/avatar")).await;
    let (first, second) = (upload_lazily(&jane).await, upload_lazily(&jane).await);
    let claim =
        |id: &str| jane.request(Method::PUT, &user).json(&json!({"PictureID": id})).header("if-match", &default_tag);
    assert_eq!(status(claim(&first)).await, 200);
    assert_eq!(tag(&jane, &format!("{user}/avatar")).await, default_tag);
    assert_eq!(status(claim(&second)).await, 412);
    server.run_jobs().await;
}

/// Uploads a picture without waiting for the worker, and returns its PictureID.
async fn upload_lazily(login: &Login<'_>) -> String {
    let request = login.request(Method::POST, "/api/dropbox/pictures").header("prefer", "respond-async");
    let response = request.multipart(crate::test_server::form("a.jpg", JPEG)).send().await.unwrap();
    assert_eq!(response.status(), 202);
    response.text().await.unwrap()
}

#[tokio::test]
async fn a_file_and_its_renditions_change_only_if_the_condition_holds() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let get_tag = async |path: &str| {
        let response = api_request(&jane, Method::GET, path).send().await.unwrap();
        header(&response, "etag").to_owned()
    };
    let (data, rendition) = (format!("/files/{id}/data"), format!("/files/{id}/data/rendition"));
    let send = |path: &str, parts: &[Vec<u8>]| {
        let request = api_request(&jane, Method::POST, path).header("content-type", "multipart/form-data; boundary=B");
        request.body(form(parts))
    };
    let version = || send(&data, &[part("name=\"primaryFile\"; filename=\"a.jpg\"", JPEG)]);
    let first = get_tag(&data).await;
    // A request that is repeated with its key gets its first response, not 412.
    for _ in 0..2 {
        let request = version().header("if-match", &first).header("idempotency-key", "k");
        assert_eq!(status(request).await, 201);
    }
    assert_refused(version, &first).await;
    let keyed = version().header("if-match", &first).header("idempotency-key", "other");
    assert_eq!(status(keyed).await, 412);
    let second = get_tag(&data).await;
    assert_ne!(first, second);
    let add = || send(&rendition, &[file_part(PNG), json_part(r#"{"name":"small"}"#)]);
    assert_refused(add, &first).await;
    assert_eq!(status(add().header("if-match", &second)).await, 200);
    let named = format!("{rendition}?rendition=small");
    let small = get_tag(&format!("{named}&renditionType=uploaded")).await;
    let remove = || api_request(&jane, Method::DELETE, &named);
    assert_refused(remove, &second).await;
    assert_eq!(status(remove().header("if-match", &small)).await, 200);
    let about: Value =
        api_request(&jane, Method::GET, &format!("/files/{id}")).send().await.unwrap().json().await.unwrap();
    assert_eq!(about["version"], "2", "the refused writes have changed nothing");
}
