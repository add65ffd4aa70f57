//! Tests applinks and public links: what they grant, to which users, for how long, and that a revocation takes
//! effect at once.

use std::time::Duration;

use domain::FileRole;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{
    api_request, error_fields, file_part, form, get, json_part, share, start_server, status_and_text, upload_file,
};
use crate::test_server::{Login, TestServer};

/// An applink as the api returned it.
struct CreatedApplink {
    id: String,
    access: String,
    refresh: String,
}

async fn create_applink(login: &Login<'_>, file: &str, body: Value) -> CreatedApplink {
    let response =
        api_request(login, Method::POST, &format!("/applinks/file/{file}")).json(&body).send().await.unwrap();
    let (status, text) = status_and_text(response).await;
    assert_eq!(status, 200, "{text}");
    let made: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&made["type"], &made["errorCode"], &made["id"]), (&json!("applink"), &json!("0"), &json!(file)));
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    assert!(text("appLinkUrl").contains(&text("appLinkID")));
    CreatedApplink { id: text("appLinkID"), access: text("accessToken"), refresh: text("refreshToken") }
}

fn applink_request(server: &TestServer, link: &CreatedApplink, method: Method, path: &str) -> RequestBuilder {
    let request = server.anonymous(method, &format!("/documents/api/1.1{path}"));
    request.header("appLinkID", &link.id).header("accessToken", &link.access)
}

fn with_rendition_form(request: RequestBuilder, name: &str) -> RequestBuilder {
    let body = form(&[file_part(b"x"), json_part(&format!("{{\"name\":\"{name}\"}}"))]);
    request.header("content-type", "multipart/form-data; boundary=B").body(body)
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn an_applink_grants_its_role_and_no_more() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let path = format!("/files/{id}/data/rendition");
    let viewer = create_applink(&jane, &id, json!({"assignedUser": "joe"})).await;
    assert_eq!(status(applink_request(&server, &viewer, Method::GET, &format!("/files/{id}"))).await, 200);
    let refusal = error_fields(
        with_rendition_form(applink_request(&server, &viewer, Method::POST, &path), "a").send().await.unwrap(),
    )
    .await;
    assert_eq!((refusal.0, refusal.1.as_str()), (403, "-20"));
    assert!(refusal.2.contains(",joe, of the test,"), "{}", refusal.2);
    let writer = create_applink(&jane, &id, json!({"assignedUser": "@everybody", "role": "contributor"})).await;
    assert_eq!(status(with_rendition_form(applink_request(&server, &writer, Method::POST, &path), "a")).await, 200);
    let other = upload_file(&jane).await;
    assert_eq!(
        status(applink_request(&server, &writer, Method::GET, &format!("/files/{other}"))).await,
        403,
        "the link is for another file"
    );
    let new = with_rendition_form(applink_request(&server, &writer, Method::POST, "/files/data"), "a");
    assert_eq!(error_fields(new.send().await.unwrap()).await.0, 401, "a link is for one file");
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn invalid_tokens_are_refused() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let good = create_applink(&jane, &id, json!({"assignedUser": "joe"})).await;
    let other = create_applink(&jane, &id, json!({"assignedUser": "joe"})).await;
    let others = create_applink(&jane, &id, json!({"assignedUser": "admin"})).await;
    let invalid = (400, "-26".to_owned(), "!csLinkInvalid".to_owned());
    let mut flipped = good.access.clone().into_bytes();
    let last = flipped.len() - 2;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for (what, link, token) in [
        ("of another link", &good.id, other.access.as_str()),
        ("of another user", &good.id, others.access.as_str()),
        ("for another use", &good.id, good.refresh.as_str()),
        ("truncated", &good.id, &good.access[..good.access.len() - 4]),
        ("changed", &good.id, flipped.as_str()),
        ("not a token", &good.id, "x"),
        ("an unknown link", &"Lnone".to_owned(), good.access.as_str()),
    ] {
        let link = CreatedApplink { id: link.clone(), access: token.to_owned(), refresh: String::new() };
        let response = applink_request(&server, &link, Method::GET, &format!("/files/{id}")).send().await.unwrap();
        assert_eq!(error_fields(response).await, invalid, "{what}");
    }
    let missing = (400, "-97".to_owned(), "!csRequiredFieldMissing,accessToken".to_owned());
    for (name, value) in [("appLinkID", &good.id), ("accessToken", &good.access)] {
        let request = server.anonymous(Method::GET, &format!("/documents/api/1.1/files/{id}")).header(name, value);
        assert_eq!(error_fields(request.send().await.unwrap()).await, missing, "{name} alone");
    }
}

#[tokio::test]
async fn an_access_token_expires_and_can_be_refreshed_for_a_day() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let mut link = create_applink(&jane, &id, json!({"assignedUser": "joe"})).await;
    let look = async |link: &CreatedApplink| {
        status(applink_request(&server, link, Method::GET, &format!("/files/{id}"))).await
    };
    let refresh = async |link: &CreatedApplink, token: &str| {
        let request = applink_request(&server, link, Method::PUT, "/applinks/token").header("RefreshToken", token);
        request.send().await.unwrap()
    };
    server.clock.advance(Duration::from_secs(15 * 60 - 1));
    assert_eq!(look(&link).await, 200);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(look(&link).await, 400);
    let body: Value = refresh(&link, &link.refresh).await.json().await.unwrap();
    assert_eq!((&body["type"], &body["errorCode"]), (&json!("applink"), &json!("0")));
    link.access = body["accessToken"].as_str().unwrap().to_owned();
    assert_eq!(look(&link).await, 200);
    assert_eq!(
        error_fields(refresh(&link, &link.access).await).await.1,
        "-26",
        "an access token is not a refresh token"
    );
    let bare = applink_request(&server, &link, Method::PUT, "/applinks/token").send().await.unwrap();
    assert_eq!(error_fields(bare).await.2, "!csRequiredFieldMissing,refreshToken");
    server.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(error_fields(refresh(&link, &link.refresh).await).await.1, "-26", "a refresh token lasts for a day");
}

#[tokio::test]
async fn an_applink_is_shown_to_its_holder_and_to_managers() {
    let server = start_server().await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let id = upload_file(&jane).await;
    let link = create_applink(&jane, &id, json!({"assignedUser": "joe", "role": "contributor"})).await;
    let other = create_applink(&jane, &id, json!({"assignedUser": "joe", "role": "contributor"})).await;
    let path = format!("/applinks/{}", link.id);
    let shown = json!({"errorCode": "0", "appLinkID": link.id, "id": id, "type": "applink", "role": "contributor",
                       "assignedUser": "joe"});
    for request in [applink_request(&server, &link, Method::GET, &path), api_request(&jane, Method::GET, &path)] {
        assert_eq!(request.send().await.unwrap().json::<Value>().await.unwrap(), shown);
    }
    let xml = applink_request(&server, &link, Method::GET, &path).header("accept", "application/xml");
    assert!(xml.send().await.unwrap().text().await.unwrap().contains("<role>contributor</role>"));
    let refused = |request: RequestBuilder| async move { error_fields(request.send().await.unwrap()).await };
    assert_eq!(
        refused(applink_request(&server, &other, Method::GET, &path)).await.1,
        "-20",
        "the tokens of another link of the same file"
    );
    assert_eq!(refused(api_request(&joe, Method::GET, &path)).await.1, "-20");
    assert_eq!(refused(server.anonymous(Method::GET, &format!("/documents/api/1.1{path}"))).await.0, 401);
    assert_eq!(status(api_request(&jane, Method::DELETE, &path)).await, 200);
    assert_eq!(refused(applink_request(&server, &link, Method::GET, &path)).await.1, "-26");
    assert_eq!(refused(api_request(&jane, Method::GET, &path)).await.2, "!csLinkNotFound");
}

#[tokio::test]
async fn a_token_from_the_future_is_refused() {
    let (server, later) = (start_server().await, domain::Clock::manual("2026-11-22T12:00:00Z".parse().unwrap()));
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    // An api with the same records, but with a clock that is a day ahead, creates the link.
    let ahead = server.start_with_clock(later).await;
    let token = ahead.token("jane").await;
    let request = server.client.post(format!("{}/documents/api/1.1/applinks/file/{id}", ahead.base)).bearer_auth(token);
    let made: Value = request.json(&json!({"assignedUser": "joe"})).send().await.unwrap().json().await.unwrap();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let link = CreatedApplink { id: text("appLinkID"), access: text("accessToken"), refresh: text("refreshToken") };
    let response = applink_request(&server, &link, Method::GET, &format!("/files/{id}")).send().await.unwrap();
    assert_eq!(error_fields(response).await.1, "-26");
}

#[tokio::test]
async fn a_revocation_takes_effect_at_once() {
    let server = start_server().await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let id = upload_file(&jane).await;
    share(&server, &id, "joe", FileRole::Manager).await;
    let look = async |link: &CreatedApplink| {
        status(applink_request(&server, link, Method::GET, &format!("/files/{id}"))).await
    };
    let link = create_applink(&joe, &id, json!({"assignedUser": "@everybody"})).await;
    assert_eq!(look(&link).await, 200);
    share(&server, &id, "joe", FileRole::Contributor).await;
    assert_eq!(look(&link).await, 403, "the user who made the link may no longer share the file");
    assert_eq!(status(api_request(&joe, Method::DELETE, &format!("/applinks/{}", link.id))).await, 403);
    share(&server, &id, "joe", FileRole::Manager).await;
    assert_eq!(look(&link).await, 200);
    assert_eq!(status(api_request(&jane, Method::DELETE, &format!("/applinks/{}", link.id))).await, 200);
    assert_eq!(look(&link).await, 400);
    assert_eq!(status(api_request(&jane, Method::DELETE, &format!("/applinks/{}", link.id))).await, 404);
}

#[tokio::test]
async fn only_managers_make_links_and_invalid_links_are_refused() {
    let server = start_server().await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let id = upload_file(&jane).await;
    share(&server, &id, "joe", FileRole::Contributor).await;
    for path in [format!("/applinks/file/{id}"), format!("/publiclinks/file/{id}")] {
        let request =
            api_request(&joe, Method::POST, &path).json(&json!({"assignedUser": "joe", "assignedUsers": "joe"}));
        assert_eq!(error_fields(request.send().await.unwrap()).await.1, "-20", "{path}");
    }
    for (path, body, key) in [
        ("applinks", json!({}), "!csRequiredFieldMissing,assignedUser"),
        ("applinks", json!({"assignedUser": "nobody"}), "!csInvalidValue,assignedUser"),
        ("applinks", json!({"assignedUser": "joe", "role": "owner"}), "!csInvalidValue,role"),
        ("publiclinks", json!({}), "!csRequiredFieldMissing,assignedUsers"),
        ("publiclinks", json!({"assignedUsers": "@everybody", "password": "1234567"}), "!csInvalidValue,password"),
        ("publiclinks", json!({"assignedUsers": "@everybody", "password": "p".repeat(51)}), "!csInvalidValue,password"),
        (
            "publiclinks",
            json!({"assignedUsers": "@everybody", "expirationTime": "2026-11-21T11:59:59Z"}),
            "!csInvalidValue,expirationTime",
        ),
    ] {
        let request = api_request(&jane, Method::POST, &format!("/{path}/file/{id}")).json(&body);
        let (status, code, said) = error_fields(request.send().await.unwrap()).await;
        assert_eq!((status, code.as_str(), said.as_str()), (400, "-97", key), "{body}");
    }
}

/// Makes a public link and returns its id.
async fn create_public_link(login: &Login<'_>, file: &str, body: Value) -> String {
    let response =
        api_request(login, Method::POST, &format!("/publiclinks/file/{file}")).json(&body).send().await.unwrap();
    let (status, text) = status_and_text(response).await;
    assert_eq!(status, 200, "{text}");
    assert!(
        !text.contains("12345678") && !text.contains("argon2"),
        "the response has neither the password nor its hash: {text}"
    );
    serde_json::from_str::<Value>(&text).unwrap()["linkID"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn public_links_are_for_everybody_for_some_users_or_for_a_time() {
    let server = start_server().await;
    let (jane, joe, admin) = (server.login("jane").await, server.login("joe").await, server.login("admin").await);
    let id = upload_file(&jane).await;
    let path = format!("/documents/api/1.1/files/{id}");
    let nobody = |link: &str| server.anonymous(Method::GET, &path).header("linkID", link);
    let body = json!({"assignedUsers": "@everybody", "linkName": "for all", "expirationTime": "2026-11-21T13:00:00Z"});
    let all = create_public_link(&jane, &id, body).await;
    assert_eq!(status(nobody(&all)).await, 200);
    let upload = with_rendition_form(
        server.anonymous(Method::POST, &format!("{path}/data/rendition")).header("linkID", &all),
        "a",
    );
    assert_eq!(error_fields(upload.send().await.unwrap()).await.1, "-20");
    let some = create_public_link(&jane, &id, json!({"assignedUsers": ["joe"], "role": "contributor"})).await;
    assert_eq!(error_fields(nobody(&some).send().await.unwrap()).await.0, 401);
    assert_eq!(status(nobody(&some).bearer_auth(&joe.session)).await, 200);
    let upload = server.anonymous(Method::POST, &format!("{path}/data/rendition")).header("linkID", &some);
    assert_eq!(status(with_rendition_form(upload.bearer_auth(&joe.session), "a")).await, 200);
    server.add_user("kim", records::Role::Member).await;
    let kim = server.login("kim").await;
    assert_eq!(error_fields(nobody(&some).bearer_auth(&kim.session).send().await.unwrap()).await.1, "-26");
    let members = create_public_link(&jane, &id, json!({"assignedUsers": "@serviceinstance"})).await;
    assert_eq!(error_fields(nobody(&members).send().await.unwrap()).await.0, 401);
    assert_eq!(status(nobody(&members).bearer_auth(&kim.session)).await, 200);
    let list: Value = get(&jane, &format!("/publiclinks/file/{id}")).await.json().await.unwrap();
    assert_eq!(list["count"], "3");
    let named = list["items"].as_array().unwrap().iter().find(|link| link["linkName"] == "for all").unwrap();
    assert_eq!((&named["linkID"], &named["expirationTime"]), (&json!(all), &json!("2026-11-21T13:00:00Z")));
    let one: Value = get(&admin, &format!("/publiclinks/{some}")).await.json().await.unwrap();
    assert_eq!((&one["assignedUsers"], &one["role"]), (&json!("joe"), &json!("contributor")));
    assert_eq!(get(&kim, &format!("/publiclinks/{some}")).await.status(), 403);
    assert_eq!(status(api_request(&jane, Method::DELETE, &format!("/publiclinks/{members}"))).await, 200);
    assert_eq!(status(nobody(&members).bearer_auth(&kim.session)).await, 400, "the deletion takes effect at once");
    server.clock.advance(Duration::from_secs(3600));
    assert_eq!(error_fields(nobody(&all).send().await.unwrap()).await.1, "-26", "the link has expired");
}

#[tokio::test]
async fn access_codes_are_required_and_guesses_are_limited() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let link = create_public_link(&jane, &id, json!({"assignedUsers": "@everybody", "password": "12345678 ü;"})).await;
    let path = format!("/documents/api/1.1/files/{id}");
    let nobody = || server.anonymous(Method::GET, &path).header("linkID", &link);
    let with = |code: &str| nobody().header("cookie", format!("dAccessCode-{link}={code}"));
    let refusal = (403, "-18".to_owned(), "!csAccessCodeRequiredForLinkAccess".to_owned());
    assert_eq!(error_fields(nobody().send().await.unwrap()).await, refusal);
    assert_eq!(error_fields(with("wrong").send().await.unwrap()).await, refusal);
    assert_eq!(status(with("12345678%20%C3%BC%3B")).await, 200);
    for _ in 0..10 {
        assert_eq!(status(with("wrong")).await, 403);
    }
    let throttled = with("wrong").send().await.unwrap();
    assert_eq!(throttled.status(), 429);
    assert!(throttled.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn the_status_of_an_upload_by_a_link_needs_the_credentials_of_that_link() {
    let server = TestServer::with_idle_worker(|settings| settings.uploads.default_wait = Duration::ZERO).await;
    let jane = server.login("jane").await;
    let new = form(&[super::part("name=\"primaryFile\"; filename=\"a.txt\"", b"text")]);
    let made: Value = super::post(&jane, "/files/data", new).await.json().await.unwrap();
    let id = made["id"].as_str().unwrap();
    server.run_jobs().await;
    let path = format!("/files/{id}/data/rendition");
    let writer = json!({"assignedUser": "@everybody", "role": "contributor"});
    let (link, other) = (create_applink(&jane, id, writer.clone()).await, create_applink(&jane, id, writer).await);
    let body = json!({"assignedUsers": "@everybody", "role": "contributor"});
    let public = api_request(&jane, Method::POST, &format!("/publiclinks/file/{id}")).json(&body).send().await.unwrap();
    let public = public.json::<Value>().await.unwrap()["linkID"].as_str().unwrap().to_owned();
    let with_applink = |link: &CreatedApplink, method: Method, path: &str| {
        server.anonymous(method, path).header("appLinkID", &link.id).header("accessToken", &link.access)
    };
    let with_public = |method: Method, path: &str| server.anonymous(method, path).header("linkID", &public);
    let uploads = format!("/documents/api/1.1{path}");

    let accepted = with_rendition_form(with_applink(&link, Method::POST, &uploads), "a").send().await.unwrap();
    assert_eq!(accepted.status(), 202);
    let location = accepted.headers()["location"].to_str().unwrap().to_owned();
    let shown = with_applink(&link, Method::GET, &location).send().await.unwrap();
    assert_eq!(shown.status(), 200);
    assert_eq!(shown.json::<Value>().await.unwrap()["state"], "accepted");
    assert_eq!(
        status(with_applink(&other, Method::GET, &location)).await,
        404,
        "another link of the same file may not see the upload"
    );
    assert_eq!(status(with_public(Method::GET, &location)).await, 404);
    assert_eq!(status(server.anonymous(Method::GET, &location)).await, 401);
    assert_eq!(status(server.anonymous(Method::GET, &location).header("linkID", "LX")).await, 401);

    let accepted = with_rendition_form(with_public(Method::POST, &uploads), "b").send().await.unwrap();
    assert_eq!(accepted.status(), 202);
    let by_public = accepted.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(status(with_public(Method::GET, &by_public)).await, 200);
    assert_eq!(status(with_applink(&link, Method::GET, &by_public)).await, 404);

    let revoked = api_request(&jane, Method::DELETE, &format!("/applinks/{}", link.id)).send().await.unwrap();
    assert_eq!(revoked.status(), 200);
    assert_eq!(status(with_applink(&link, Method::GET, &location)).await, 401);
    server.run_jobs().await;
}

#[tokio::test]
async fn an_expiration_time_comes_back_as_it_was_written() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    for time in ["9999-12-31T23:59:59Z", "2099-01-02T03:04:05.678Z", "2099-01-02T03:04:05+02:00"] {
        let body = json!({"assignedUsers": "joe", "expirationTime": time});
        let made =
            api_request(&jane, Method::POST, &format!("/publiclinks/file/{id}")).json(&body).send().await.unwrap();
        let made: Value = made.json().await.unwrap();
        assert_eq!(made["expirationTime"], time);
        let link = made["linkID"].as_str().unwrap();
        let read: Value = get(&jane, &format!("/publiclinks/{link}")).await.json().await.unwrap();
        assert_eq!(read["expirationTime"], time);
    }
}
