//! Tests session cookies and bearer tokens: which of them are accepted, and which are refused.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::Method;

use crate::test_server::{FED, PNG, TestServer, form};

pub(crate) fn decode(value: &str) -> String {
    percent_decode_str(value).decode_utf8().unwrap().into_owned()
}

pub(crate) fn encode(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn invalid_cookies_and_tokens_are_refused() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let good = jane.session.clone();
    let decoded = decode(&good);
    let admin = encode(&decoded.replace(&format!("{FED}:jane"), &format!("{FED}:admin")));
    let prolonged = encode(&decoded.replace("expirationTime=1", "expirationTime=2"));
    let unsigned = encode(decoded.split(",sig=").next().unwrap());
    let other_tenant = encode(&decoded.replace(FED, "otherfed"));
    for (what, value) in [
        ("forged", admin),
        ("prolonged", prolonged),
        ("unsigned", unsigned),
        ("truncated", good[..good.len() - 5].to_owned()),
        ("cut in half", good[..good.len() / 2].to_owned()),
        ("of another tenant", other_tenant),
        ("doubly encoded", encode(&good)),
        ("not encoded", decoded.replace(',', "%2C")),
        ("empty", String::new()),
        ("too long", "a".repeat(6000)),
        ("not UTF-8", "%FF%FE".to_owned()),
        ("the CSRF token", jane.csrf.clone()),
    ] {
        let request =
            server.anonymous(Method::GET, "/uploads/1").header("cookie", format!("AtmoAuthToken_{FED}={value}"));
        assert_eq!(request.send().await.unwrap().status(), 401, "{what}");
        let request = server.anonymous(Method::GET, "/uploads/1").bearer_auth(&value);
        assert_eq!(request.send().await.unwrap().status(), 401, "{what}, as a token");
    }
    for name in ["AtmoAuthToken_otherfed".to_owned(), format!("atmoauthtoken_{FED}"), format!("XAtmoAuthToken_{FED}")] {
        let request = server.anonymous(Method::GET, "/uploads/1").header("cookie", format!("{name}={good}"));
        assert_eq!(request.send().await.unwrap().status(), 401, "{name}");
    }
    assert_eq!(jane.get("/uploads/1").await.status(), 404);
}

#[tokio::test]
async fn a_session_ends_exactly_at_its_time_and_with_the_account() {
    let server = TestServer::new().await;
    let (jane, joe) = (server.login("jane").await, server.login("joe").await);
    let mut user = server.backends.records.user("joe").await.unwrap().unwrap();
    user.disabled = true;
    server.backends.records.upsert_user(&user).await.unwrap();
    server.clock.advance(server.settings.realm.session_cache_time);
    assert_eq!(joe.get("/uploads/1").await.status(), 401);
    server.clock.advance(Duration::from_millis(30 * 60 * 1000 - 1) - server.settings.realm.session_cache_time);
    assert_eq!(jane.get("/uploads/1").await.status(), 404);
    server.clock.advance(Duration::from_millis(1));
    assert_eq!(jane.get("/uploads/1").await.status(), 401);
}

#[tokio::test]
async fn an_issued_token_authenticates_like_a_session_but_is_not_renewed() {
    let server = TestServer::new().await;
    let (records, realm) = (&server.backends.records, &server.settings.realm);
    let token = api::issue_token(records, realm, "jane", Duration::from_secs(3600)).await.unwrap();
    let response = server
        .anonymous(Method::POST, "/api/dropbox/pictures")
        .bearer_auth(&token)
        .multipart(form("a.png", PNG))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200, "a bearer token needs no CSRF token: no browser sends it by itself");
    let basic = server.anonymous(Method::GET, "/uploads/1001").basic_auth("jane", Some("x")).send().await.unwrap();
    assert_eq!(basic.status(), 401);
    let renewed = server.anonymous(Method::POST, "/api/login/renewToken").bearer_auth(&token).send().await.unwrap();
    assert_eq!(renewed.status(), 401);
    assert!(api::issue_token(records, realm, "nobody", Duration::from_secs(1)).await.is_err());
}
