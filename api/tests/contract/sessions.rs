//! Session cookies, bearer tokens and CSRF tokens: which of them are accepted, and which are refused. Also the rotation
//! of keys, the administration of users, and the first administrator.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use records::Role;
use reqwest::Method;
use serde_json::json;

use crate::test_server::{FED, PNG, TestServer, form};

fn decode(value: &str) -> String {
    percent_decode_str(value).decode_utf8().unwrap().into_owned()
}

fn encode(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn invalid_cookies_and_tokens_are_refused() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let good = jane.session.clone();
    let list = decode(&good);
    let admin = encode(&list.replace(&format!("{FED}:jane"), &format!("{FED}:admin")));
    let longer = encode(&list.replace("expirationTime=1", "expirationTime=2"));
    let unsigned = encode(list.split(",sig=").next().unwrap());
    let other_tenant = encode(&list.replace(FED, "otherfed"));
    for (what, value) in [
        ("forged", admin),
        ("prolonged", longer),
        ("unsigned", unsigned),
        ("truncated", good[..good.len() - 5].to_owned()),
        ("half", good[..good.len() / 2].to_owned()),
        ("of another tenant", other_tenant),
        ("doubly encoded", encode(&good)),
        ("not encoded", list.replace(',', "%2C")),
        ("empty", String::new()),
        ("long", "a".repeat(6000)),
        ("no text", "%FF%FE".to_owned()),
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
        ("decoded", decode(&jane.csrf)),
        ("doubly encoded", encode(&jane.csrf)),
        ("in lower-case escapes", jane.csrf.replace("%3D", "%3d").replace("%2C", "%2c")),
        ("forged", jane.csrf.replace("TokenID%3D", "TokenID%3D0")),
        ("truncated", jane.csrf[..jane.csrf.len() - 3].to_owned()),
        ("the session's", jane.session.clone()),
        ("empty", String::new()),
    ] {
        assert_eq!(send(&token).await, 401, "{what}");
    }
    assert_eq!(send(&jane.csrf).await, 200, "the header's name in any case");
}

#[tokio::test]
async fn a_csrf_token_expires_at_its_own_time_even_if_the_session_was_renewed() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    server.clock.advance(Duration::from_secs(29 * 60));
    let response = jane.request(Method::POST, "/api/login/renewToken").send().await.unwrap();
    let renewed = crate::test_server::Login::from_response(&server, &response);
    let old_token =
        crate::test_server::Login { server: &server, session: renewed.session.clone(), csrf: jane.csrf.clone() };
    let send = async |login: &crate::test_server::Login<'_>| {
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
    assert_eq!(jane.get("/api/dropbox/pictures/1001?size=25").await.status(), 200, "an <img> sends no header");
    assert_eq!(jane.get(&format!("/api/users/jane.{FED}/avatar")).await.status(), 200);
    let id = crate::documents::upload_file(&jane).await;
    let data = format!("/documents/api/1.1/files/{id}/data");
    for (path, bare) in [
        ("/thumbnail", 200),
        ("/rendition?rendition=thumbnail1", 200),
        ("/rendition?rendition=page1&renditionType=system", 200),
        ("/rendition?rendition=small&renditionType=uploaded", 401),
        ("/rendition?rendition=small&renditionType=other", 401),
        ("/renditions", 401),
        ("", 401),
    ] {
        assert_eq!(jane.get(&format!("{data}{path}")).await.status(), bare, "{path}");
        let guarded = jane.request(Method::GET, &format!("{data}{path}")).send().await.unwrap();
        assert_ne!(guarded.status(), 401, "{path}");
    }
    let nobody = server.anonymous(Method::GET, &format!("{data}/thumbnail")).send().await.unwrap();
    assert_eq!(nobody.status(), 401);
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

#[tokio::test]
async fn keys_rotate_and_nobody_is_logged_out() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    server.clock.advance(Duration::from_secs(2));
    api::rotate_keys(&server.backends.records).await.unwrap();
    let token = api::issue_token(&server.backends.records, &server.settings.realm, "jane", Duration::from_secs(60));
    let token = token.await.unwrap();
    let signed_by_the_new_key = server.anonymous(Method::GET, "/uploads/1").bearer_auth(&token).send().await.unwrap();
    assert_eq!(signed_by_the_new_key.status(), 404, "the api has noticed the new key");
    assert_eq!(jane.get("/uploads/1").await.status(), 404);
    let again = server.login("jane").await;
    let key = |session: &str| decode(session).split(",sig=").nth(1).unwrap()[..8].to_owned();
    assert_ne!(key(&again.session), key(&jane.session));
}

#[tokio::test]
async fn users_are_added_disabled_and_made_administrators() {
    let server = TestServer::new().await;
    let records = &server.backends.records;
    let new = |id: &str, email: &str| api::NewUser {
        id: id.to_owned(),
        email: email.to_owned(),
        name: "Ann".to_owned(),
        password: crate::test_server::PASSWORD.to_owned(),
    };
    api::add_user(records, new("ann", "Ann@example.com"), Role::Member).await.unwrap();
    for (id, email) in [("ann", "b@example.com"), ("b", "ann@EXAMPLE.com"), ("a,b", "c@example.com"), ("c", "nomail")] {
        assert!(api::add_user(records, new(id, email), Role::Member).await.is_err(), "{id} {email}");
    }
    let ann = server.login("ann").await;
    api::change_user(records, "ann", None, None, Some(true)).await.unwrap();
    server.clock.advance(server.settings.realm.session_cache_time);
    assert_eq!(ann.get("/uploads/1").await.status(), 401);
    api::change_user(records, "ann", None, Some(Role::Admin), Some(false)).await.unwrap();
    assert_eq!(records.user("ann").await.unwrap().unwrap().role, Role::Admin);
    assert!(api::ensure_admin(records, &server.settings.realm).await.unwrap().is_none());
}

/// Both processes find no user and hash a password. Only one of them creates the administrator.
#[tokio::test]
async fn of_two_processes_that_start_at_once_one_makes_the_first_administrator() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("records.db").display());
    migrations::up(&url).await.unwrap();
    let settings = records::RecordsSettings::new(domain::Secret::new(url), 4);
    let open = async || {
        records::Records::open(&settings, domain::Clock::system(), instrument::FailPoints::default()).await.unwrap()
    };
    let (one, other) = (open().await, open().await);
    let realm = crate::test_server::settings().realm;
    let (one, other) = tokio::join!(api::ensure_admin(&one, &realm), api::ensure_admin(&other, &realm));
    let made = [one.unwrap(), other.unwrap()].into_iter().flatten().count();
    assert_eq!(made, 1, "and only that process has a password to show");
}
