//! Tests that sessions end: by a logout, by a logout everywhere, by a changed password, or by the operator. After that,
//! a copy of the cookie is refused, too.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::{Method, Response};

use crate::test_server::{FED, Login, PASSWORD, TestServer, header};
use crate::ui::submit;

/// The default of `realm.session_cache_time`. An api reads the row of a session again after this time.
const SESSION_CHECK: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);

/// Whether this api still accepts a session. The upload does not exist, so 404 means that the session was accepted.
async fn is_valid(login: &Login<'_>) -> bool {
    is_valid_at(&login.server.base, login).await
}

async fn is_valid_at(base: &str, login: &Login<'_>) -> bool {
    let request = login.server.client.get(format!("{base}/uploads/1"));
    let cookie = format!("AtmoAuthToken_{FED}={}", login.session);
    match request.header("cookie", cookie).send().await.unwrap().status().as_u16() {
        404 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

async fn renew(login: &Login<'_>) -> Response {
    login.request(Method::POST, "/api/login/renewToken").send().await.unwrap()
}

#[tokio::test]
async fn a_copied_cookie_ends_with_its_session() {
    let server = TestServer::new().await;
    let other_api = server.start_second().await;
    let (jane, elsewhere) = (server.login("jane").await, server.login("jane").await);
    assert!(is_valid(&jane).await && is_valid_at(&other_api, &jane).await);
    let bare = jane.request_without_csrf(Method::POST, "/api/logout").send().await.unwrap();
    assert_eq!(bare.status(), 401, "a logout requires a CSRF token");
    assert!(is_valid(&jane).await);
    let out = jane.request(Method::POST, "/api/logout").send().await.unwrap();
    assert_eq!(out.status(), 204);
    let lines: Vec<_> = out.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("=; Path=/; Max-Age=0")), "{lines:?}");
    assert!(!is_valid(&jane).await, "this api refuses the session at once");
    assert_eq!(renew(&jane).await.status(), 401);
    let request = server.anonymous(Method::GET, "/uploads/1").bearer_auth(&jane.session);
    assert_eq!(request.send().await.unwrap().status(), 401, "the session is refused as a bearer token, too");
    server.clock.advance(SESSION_CHECK);
    assert!(!is_valid_at(&other_api, &jane).await, "another api refuses the session within realm.session_cache_time");
    assert!(is_valid(&elsewhere).await, "another session of the same user goes on");
}

#[tokio::test]
async fn a_logout_everywhere_ends_every_session_and_issued_token() {
    let server = TestServer::new().await;
    let (jane, elsewhere, joe) = (server.login("jane").await, server.login("jane").await, server.login("joe").await);
    let token = api::issue_token(&server.backends.records, &server.settings.realm, "jane", MINUTE).await.unwrap();
    let by_token = async || {
        let request = server.anonymous(Method::GET, "/uploads/1").bearer_auth(&token);
        request.send().await.unwrap().status().as_u16()
    };
    assert!(is_valid(&elsewhere).await && by_token().await == 404);
    let out = jane.request(Method::POST, "/api/logout/everywhere").send().await.unwrap();
    assert_eq!(out.status(), 204);
    assert!(!is_valid(&jane).await && !is_valid(&elsewhere).await && by_token().await == 401);
    assert!(is_valid(&joe).await);
    assert!(is_valid(&server.login("jane").await).await);
}

#[tokio::test]
async fn a_logout_with_an_issued_token_ends_only_this_token() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let token = api::issue_token(&server.backends.records, &server.settings.realm, "jane", MINUTE).await.unwrap();
    let out = server.anonymous(Method::POST, "/api/logout").bearer_auth(&token).send().await.unwrap();
    assert_eq!(out.status(), 204, "no browser sends a bearer token by itself, so it needs no CSRF token");
    let request = server.anonymous(Method::GET, "/uploads/1").bearer_auth(&token);
    assert_eq!(request.send().await.unwrap().status(), 401);
    assert!(is_valid(&jane).await);
}

#[tokio::test]
async fn sessions_that_the_operator_ends_are_refused_within_the_cache_time() {
    let server = TestServer::new().await;
    let records = &server.backends.records;
    for what in ["password", "disable", "logout"] {
        let jane = server.login("jane").await;
        assert!(is_valid(&jane).await);
        match what {
            "password" => drop(api::change_user(records, "jane", Some(PASSWORD.to_owned()), None, None).await.unwrap()),
            "disable" => drop(api::change_user(records, "jane", None, None, Some(true)).await.unwrap()),
            _ => api::end_sessions(records, "jane").await.unwrap(),
        }
        assert_eq!(renew(&jane).await.status(), 401, "{what}: a renewal reads the row of the session");
        server.clock.advance(SESSION_CHECK);
        assert!(!is_valid(&jane).await, "{what}");
        api::change_user(records, "jane", None, None, Some(false)).await.unwrap();
        assert!(!is_valid(&jane).await, "{what}: enabling the user again does not restore the session");
    }
    assert!(api::end_sessions(records, "nobody").await.is_err());
}

/// Most requests need no database query to authenticate, because a session is not read again within the cache time.
#[tokio::test]
async fn a_session_is_not_read_for_every_request() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    assert!(is_valid(&jane).await);
    api::end_sessions(&server.backends.records, "jane").await.unwrap();
    server.clock.advance(SESSION_CHECK - Duration::from_millis(1));
    assert!(is_valid(&jane).await, "the session was read less than realm.session_cache_time ago");
    server.clock.advance(Duration::from_millis(1));
    assert!(!is_valid(&jane).await);

    let strict = TestServer::with_settings(|settings| settings.realm.session_cache_time = Duration::ZERO).await;
    let jane = strict.login("jane").await;
    assert!(is_valid(&jane).await);
    api::end_sessions(&strict.backends.records, "jane").await.unwrap();
    assert!(!is_valid(&jane).await, "0s: a session is read for every request");
}

#[tokio::test]
async fn no_renewal_extends_a_session_beyond_its_absolute_end() {
    let server = TestServer::with_settings(|settings| settings.realm.session_max_age = 50 * MINUTE).await;
    let mut jane = server.login("jane").await;
    server.clock.advance(29 * MINUTE);
    let response = renew(&jane).await;
    let line = header(&response, "set-cookie").to_owned();
    assert!(line.contains("; Max-Age=1260;"), "21 minutes are left: {line}");
    jane = Login::from_response(&server, &response);
    let decoded = percent_decode_str(&jane.session).decode_utf8().unwrap().into_owned();
    assert!(decoded.contains("issueTime=1795264140000,expirationTime=1795265400000"), "{decoded}");
    server.clock.advance(20 * MINUTE);
    jane = Login::from_response(&server, &renew(&jane).await);
    assert!(is_valid(&jane).await);
    assert_eq!(server.sweep().await.deleted_sessions, 0);
    server.clock.advance(MINUTE);
    assert!(!is_valid(&jane).await);
    assert_eq!(renew(&jane).await.status(), 401);
    assert_eq!(server.sweep().await.deleted_sessions, 1, "the sweeper deletes the row of the session");
}

#[tokio::test]
async fn the_page_logs_out_here_or_everywhere() {
    let server = TestServer::new().await;
    let (jane, elsewhere) = (server.login("jane").await, server.login("jane").await);
    let field = format!("X-Csrf-Token_{FED}");
    let out = submit(jane.request_without_csrf(Method::POST, "/page/logout"), &[(&field, &jane.csrf)]).await;
    assert_eq!(out.status(), 303);
    assert!(!is_valid(&jane).await && is_valid(&elsewhere).await);
    let again = server.login("jane").await;
    let bare = submit(again.request_without_csrf(Method::POST, "/page/logout"), &[("everywhere", "1")]).await;
    assert_eq!(bare.status(), 401);
    assert!(is_valid(&elsewhere).await);
    let out =
        submit(again.request_without_csrf(Method::POST, "/page/logout"), &[(&field, &again.csrf), ("everywhere", "1")])
            .await;
    assert_eq!((out.status().as_u16(), header(&out, "location")), (303, "/?done=logged_out"));
    assert!(!is_valid(&again).await && !is_valid(&elsewhere).await);
}

#[tokio::test]
async fn every_api_signs_with_a_new_key_and_an_unneeded_old_key_is_deleted() {
    let server = TestServer::new().await;
    let (records, other_api) = (&server.backends.records, server.start_second().await);
    let kept = async || records.signing_keys().await.unwrap().into_iter().map(|key| key.id).collect::<Vec<_>>();
    let old = kept().await;
    let token = api::issue_token(records, &server.settings.realm, "jane", 48 * 60 * MINUTE).await.unwrap();
    let before = server.login("jane").await;
    server.clock.advance(Duration::from_secs(2));
    let new = api::rotate_keys(records).await.unwrap();
    assert_eq!(kept().await, [new.clone(), old[0].clone()]);
    for base in [&server.base, &other_api] {
        assert!(is_valid_at(base, &before).await, "what the old key signed stays valid");
        let body = serde_json::json!({"email": "jane@example.com", "password": PASSWORD});
        let response = server.client.post(format!("{base}/api/login")).json(&body).send().await.unwrap();
        let after = Login::from_response(&server, &response);
        assert_eq!(signing_key_id(&after.session), new, "the new key signs at once");
        assert!(is_valid(&after).await && is_valid_at(&other_api, &after).await);
    }
    assert_eq!(signing_key_id(&before.session), old[0]);

    // Signing keys are maintained when an api starts, and every hour after that.
    let wait_for_keys = async |expected: &[String]| {
        server.start_second().await;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        let wait = async {
            while kept().await != expected {
                tick.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
    };
    let by_token = async || {
        let request = server.client.get(format!("{other_api}/uploads/1")).bearer_auth(&token);
        request.send().await.unwrap().status().as_u16()
    };
    server.clock.advance(47 * 60 * MINUTE);
    wait_for_keys(&[new.clone(), old[0].clone()]).await;
    assert_eq!(by_token().await, 404, "a token that the old key signed and that has not expired");
    server.clock.advance(60 * MINUTE);
    wait_for_keys(std::slice::from_ref(&new)).await;
    assert_eq!(by_token().await, 401);
}

/// The id of the key that signed a cookie.
fn signing_key_id(session: &str) -> String {
    use base64::Engine as _;
    let decoded = percent_decode_str(session).decode_utf8().unwrap().into_owned();
    let signature = decoded.split(",sig=").nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap();
    domain::hex(&bytes[..8])
}
