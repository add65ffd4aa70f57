//! What is refused because something else is going on, or because something of ours does not work: each body to the byte,
//! in JSON and in XML.

use std::time::Duration;

use futures::{StreamExt, stream};
use reqwest::Method;
use upload::FileRole;

use super::bodies::{KINDS, is_said, refuses, with_form};
use super::{call, file, file_by_hand, file_part, json_part, part, post, share, waiting, work};
use crate::stand::{Login, Stand};

fn keyed(login: &Login<'_>, file: &str, content: &[u8]) -> reqwest::RequestBuilder {
    let request = call(login, Method::POST, &format!("/files/{file}/data/rendition")).header("idempotency-key", "k");
    with_form(request, &[file_part(content), json_part(r#"{"name":"a"}"#)])
}

#[tokio::test]
async fn a_key_in_flight_and_a_key_of_another_request() {
    let stand = Stand::idle(|_| {}).await;
    let jane = stand.login("jane").await;
    let id = file_by_hand(&jane).await;
    let meanwhile = async {
        waiting(&stand, 1).await;
        let message = "a request with this Idempotency-Key is being answered; wait for that";
        let words = (409, "-1", "!csInFlight", message);
        let headers = refuses(|| keyed(&jane, &id, b"x"), ("file", &id), words).await;
        assert_eq!(headers["retry-after"], "1");
        work(&stand).await;
    };
    let (first, ()) = tokio::join!(keyed(&jane, &id, b"x").send(), meanwhile);
    assert_eq!(first.unwrap().status(), 200);
    let message = "this Idempotency-Key was used for a request with other content; use a new key for a new request";
    refuses(|| keyed(&jane, &id, b"y"), ("file", &id), (422, "-1", "!csOtherContent", message)).await;
    assert_eq!(stand.staged(), 0);
}

#[tokio::test]
async fn a_right_that_was_taken_back_and_a_deadline_that_passed() {
    let stand = Stand::idle(|_| {}).await;
    let (jane, joe) = (stand.login("jane").await, stand.login("joe").await);
    let id = file_by_hand(&jane).await;
    let add = async |login: &Login<'_>, kind: &str| {
        let request = call(login, Method::POST, &format!("/files/{id}/data/rendition")).header("accept", kind);
        with_form(request, &[file_part(b"x"), json_part(r#"{"name":"a"}"#)]).send().await.unwrap()
    };
    let key = format!(
        "!csRenditionsUnableToAdd!csCloudItemInsufficientPrivileges,joe, of the test,fFileGUID:{id},ADD_RENDITION"
    );
    let message = format!(
        "Unable to add the rendition. User 'joe, of the test' has insufficient privilege to access fFileGUID:{id}."
    );
    let too_late = "no worker settled this upload before its deadline; try again, or ask the operator to";
    for kind in KINDS {
        share(&stand, &id, "joe", FileRole::Contributor).await;
        let revoke = async {
            waiting(&stand, 1).await;
            stand.places.records.unshare_file(&id.parse().unwrap(), "joe").await.unwrap();
            work(&stand).await;
        };
        let (answer, ()) = tokio::join!(add(&joe, kind), revoke);
        is_said(kind, answer, ("file", &id), (403, "-20", &key, &message)).await;
        let late = async {
            waiting(&stand, 1).await;
            stand.clock.advance(Duration::from_secs(600));
            assert_eq!(stand.sweep().await.failed, 1);
        };
        let (answer, ()) = tokio::join!(add(&jane, kind), late);
        is_said(kind, answer, ("file", &id), (500, "-1", "!csDeadline", too_late)).await;
    }
}

#[tokio::test]
async fn a_new_file_of_somebody_who_may_nothing_any_more() {
    let stand = Stand::idle(|_| {}).await;
    let joe = stand.login("joe").await;
    let disable = async {
        waiting(&stand, 1).await;
        let mut gone = stand.places.records.user("joe").await.unwrap().unwrap();
        gone.disabled = true;
        stand.places.records.put_user(&gone).await.unwrap();
        work(&stand).await;
    };
    let body = super::form(&[part("name=\"primaryFile\"; filename=\"a\"", b"x")]);
    let (answer, ()) = tokio::join!(post(&joe, "/files/data", body), disable);
    let (status, code, key) = super::refused(answer).await;
    assert_eq!((status, code.as_str()), (403, "-20"));
    assert!(key.starts_with("!csFileUnableToAdd!csCloudItemInsufficientPrivileges,joe, of the test,"), "{key}");
    assert!(key.ends_with(",ADD_FILE"), "{key}");
}

#[tokio::test]
async fn hands_that_are_full_and_a_size_that_is_not_there_yet() {
    let stand = Stand::with(|settings| settings.uploads.most_at_once = 0).await;
    let jane = stand.login("jane").await;
    let fresh = || {
        let request = call(&jane, Method::POST, "/files/data");
        with_form(request, &[part("name=\"primaryFile\"; filename=\"a\"", b"x")])
    };
    let message = "too many files are being handed in at once; try again in a moment";
    let headers = refuses(fresh, ("file", ""), (503, "-1", "!csBusy", message)).await;
    assert_eq!(headers["retry-after"], "1");

    let stand = Stand::idle(|settings| settings.uploads.wait = Duration::ZERO).await;
    let jane = stand.login("jane").await;
    let id = file_lazily(&stand, &jane).await;
    let page = || call(&jane, Method::GET, &format!("/files/{id}/data/rendition?rendition=page1"));
    let message = "this size is being made; ask again in a moment";
    let headers = refuses(page, ("file", &id), (503, "-1", "!csNotYet", message)).await;
    assert_eq!(headers["retry-after"], "1");
}

/// The same where nobody waits for the worker.
async fn file_lazily(stand: &Stand, login: &Login<'_>) -> String {
    let body = super::form(&[part("name=\"primaryFile\"; filename=\"a.png\"", crate::stand::PNG)]);
    let answer = post(login, "/files/data", body).await;
    assert_eq!(answer.status(), 202);
    work(stand).await;
    answer.json::<serde_json::Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_body_that_stops_and_bytes_that_are_gone() {
    let stand = Stand::with(|settings| settings.http.body_idle_timeout = Duration::from_millis(300)).await;
    let jane = stand.login("jane").await;
    let id = file(&jane).await;
    let stops = || {
        let begun = stream::iter([Ok::<_, std::io::Error>(b"--B\r\n".to_vec())]).chain(stream::pending());
        let request = call(&jane, Method::POST, &format!("/files/{id}/data/rendition"));
        let request = request.header("content-type", "multipart/form-data; boundary=B");
        request.body(reqwest::Body::wrap_stream(begun))
    };
    let message = "nothing came for 0.3 seconds; send without pauses";
    refuses(stops, ("file", &id), (408, "-1", "!csTooSlow", message)).await;

    assert!(stand.places.blobs.remove_all("uploads/3/1001-").await.unwrap() > 0);
    let get = || call(&jane, Method::GET, &format!("/files/{id}/data"));
    let message = "something broke on our side; the operator's log says what";
    refuses(get, ("file", &id), (500, "-1", "!csPlaceDown", message)).await;
    assert_eq!(stand.staged(), 0);
}
