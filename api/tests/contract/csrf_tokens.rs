//! Tests CSRF tokens: which of them are accepted, and which requests need one.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::sessions::{decode, encode};
use crate::test_server::{FED, Login, PNG, TestServer, form};

#[tokio::test]
async fn csrf_tokens_that_do_not_belong_to_the_session_are_refused() {
    let server = TestServer::new().await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let other_jane = server.login("jane").await;
    let send = async |token: &str| {
        let request = jane.request_without_csrf(Method::PUT, &format!("/api/users/jane.{FED}"));
        let request = request.header(format!("X-CSRF-TOKEN_{FED}"), token).json(&json!({"Name": "x"}));
        request.send().await.unwrap().status().as_u16()
    };
    for (what, token) in [
        ("another user's", joe.csrf.clone()),
        ("another session's", other_jane.csrf.clone()),
        ("percent-decoded", decode(&jane.csrf)),
        ("doubly encoded", encode(&jane.csrf)),
        ("in lower-case escapes", jane.csrf.replace("%3D", "%3d").replace("%2C", "%2c")),
        ("forged", jane.csrf.replace("TokenID%3D", "TokenID%3D0")),
        ("truncated", jane.csrf[..jane.csrf.len() - 3].to_owned()),
        ("the session's", jane.session.clone()),
        ("empty", String::new()),
    ] {
        assert_eq!(send(&token).await, 401, "{what}");
    }
    assert_eq!(send(&jane.csrf).await, 200, "the name of the header may have any case");
}

#[tokio::test]
async fn a_csrf_token_expires_at_its_own_time_even_if_the_session_was_renewed() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    server.clock.advance(Duration::from_secs(29 * 60));
    let response = jane.request(Method::POST, "/api/login/renewToken").send().await.unwrap();
    let renewed = Login::from_response(&server, &response);
    let old_token = Login { server: &server, session: renewed.session.clone(), csrf: jane.csrf.clone() };
    let send = async |login: &Login<'_>| {
        let request = login.request(Method::PUT, &format!("/api/users/jane.{FED}")).json(&json!({"Name": "x"}));
        request.send().await.unwrap().status().as_u16()
    };
    server.clock.advance(Duration::from_secs(59));
    assert_eq!(send(&old_token).await, 200);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(send(&old_token).await, 401);
    assert_eq!(send(&renewed).await, 200);
}

#[tokio::test]
async fn csrf_checks_can_be_disabled_for_writes_and_enabled_for_reads() {
    let server = TestServer::with_settings(|settings| {
        settings.realm.csrf_writes = false;
        settings.realm.csrf_reads = true;
    })
    .await;
    let jane = server.login("jane").await;
    let bare = jane
        .request_without_csrf(Method::POST, "/api/dropbox/pictures")
        .multipart(form("a.png", PNG))
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status(), 200);
    assert_eq!(jane.get("/uploads/1001").await.status(), 401);
    assert_eq!(jane.request(Method::GET, "/uploads/1001").send().await.unwrap().status(), 200);
    assert_eq!(
        jane.get("/api/dropbox/pictures/1001?size=25").await.status(),
        200,
        "an <img> element cannot send a CSRF token"
    );
    assert_eq!(jane.get(&format!("/api/users/jane.{FED}/avatar")).await.status(), 200);
    let id = crate::documents::upload_file(&jane).await;
    let data = format!("/documents/api/1.1/files/{id}/data");
    for (path, status) in [
        ("/thumbnail", 200),
        ("/rendition?rendition=thumbnail1", 200),
        ("/rendition?rendition=page1&renditionType=system", 200),
        ("/rendition?rendition=small&renditionType=uploaded", 401),
        ("/rendition?rendition=small&renditionType=other", 401),
        ("/renditions", 401),
        ("", 401),
    ] {
        assert_eq!(jane.get(&format!("{data}{path}")).await.status(), status, "{path}");
        let with_token = jane.request(Method::GET, &format!("{data}{path}")).send().await.unwrap();
        assert_ne!(with_token.status(), 401, "{path}");
    }
    let nobody = server.anonymous(Method::GET, &format!("{data}/thumbnail")).send().await.unwrap();
    assert_eq!(nobody.status(), 401);
}
