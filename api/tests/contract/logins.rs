//! Tests `POST /api/login` and `POST /api/login/renewToken`.

use std::time::Duration;

use api::SecureCookies;
use reqwest::Method;
use serde_json::json;

use crate::test_server::{FED, Login, PASSWORD, TestServer, header};

#[tokio::test]
async fn a_login_sets_both_cookies_as_the_contract_describes() {
    let server = TestServer::new().await;
    let body = json!({"email": "Jane@Example.COM", "password": PASSWORD});
    let response = server.anonymous(Method::POST, "/api/login").json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let lines: Vec<_> = response.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    assert_eq!(lines.len(), 2);
    let (session, csrf) = (lines[0], lines[1]);
    assert!(session.starts_with(&format!("AtmoAuthToken_{FED}=TokenID%3D")));
    assert!(session.ends_with("; Path=/; Max-Age=1800; HttpOnly; SameSite=Lax"), "{session}");
    assert!(csrf.starts_with(&format!("Csrf-Token_{FED}=TokenID%3D")) && !csrf.contains("HttpOnly"));
    let login = Login::from_response(&server, &response);
    let decoded = percent_encoding::percent_decode_str(&login.session).decode_utf8().unwrap().into_owned();
    let fields: Vec<_> = decoded.split(',').map(|field| field.split_once('=').unwrap()).collect();
    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["TokenID", "claimed_id", "issueTime", "expirationTime", "UserName", "UserFDN", "AttributesIncluded", "sig"]
    );
    assert_eq!(fields[1].1, format!("urn:atmosphere:user:{FED}:jane"));
    assert_eq!(fields[2].1, "1795262400000");
    assert_eq!(fields[3].1, "1795264200000");
    assert_eq!(fields[4].1, "jane%2C%20of%20the%20test");
    assert_eq!(fields[5].1, format!("jane%2E{FED}"));
    assert_eq!(fields[6].1, "false");
}

#[tokio::test]
async fn cookies_are_secure_except_over_plain_http_on_loopback() {
    let server = TestServer::with_settings(|settings| settings.http.listen = "0.0.0.0:8080".to_owned()).await;
    let body = json!({"email": "jane@example.com", "password": PASSWORD});
    let response = server.anonymous(Method::POST, "/api/login").json(&body).send().await.unwrap();
    assert!(response.headers().get_all("set-cookie").iter().all(|line| line.to_str().unwrap().contains("; Secure;")));
}

#[tokio::test]
async fn secure_cookies_follow_the_scheme_that_a_trusted_proxy_reports() {
    let login = async |server: &TestServer, lines: &[(&str, &str)]| {
        let body = json!({"email": "jane@example.com", "password": PASSWORD});
        let mut request = server.anonymous(Method::POST, "/api/login").json(&body);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let lines = response.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap().to_owned());
        let secure: Vec<bool> = lines.map(|line| line.contains("; Secure;")).collect();
        assert!(secure.len() == 2 && secure[0] == secure[1], "{secure:?}");
        secure[0]
    };
    let (https, http) = ([("x-forwarded-proto", "https")], [("x-forwarded-proto", "http")]);
    let home = TestServer::with_settings(|settings| settings.http.trusted_proxies = 1).await;
    assert!(login(&home, &https).await, "also on loopback");
    assert!(login(&home, &[("forwarded", "for=192.0.2.1;proto=https")]).await);
    assert!(!login(&home, &http).await && !login(&home, &[]).await);
    let jane = home.login("jane").await;
    for path in ["/api/login/renewToken", "/api/logout"] {
        let response = jane.request(Method::POST, path).header("x-forwarded-proto", "https").send().await.unwrap();
        let lines: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
        assert!(lines.len() == 2 && lines.iter().all(|line| line.to_str().unwrap().contains("; Secure;")), "{path}");
    }
    let open = TestServer::with_settings(|settings| {
        settings.http.trusted_proxies = 1;
        settings.http.listen = "0.0.0.0:8080".to_owned();
    })
    .await;
    assert!(login(&open, &https).await && login(&open, &[]).await && !login(&open, &http).await);
    let direct = TestServer::new().await;
    assert!(!login(&direct, &https).await, "without a trusted proxy X-Forwarded-Proto is ignored");
    for (setting, secure) in [(SecureCookies::Always, true), (SecureCookies::Never, false)] {
        let server = TestServer::with_settings(|settings| {
            settings.http.trusted_proxies = 1;
            settings.realm.secure_cookies = setting;
        })
        .await;
        assert!(
            login(&server, &https).await == secure && login(&server, &http).await == secure,
            "{setting:?} takes precedence"
        );
    }
}

#[tokio::test]
async fn all_refused_logins_get_the_same_answer() {
    let server = TestServer::new().await;
    let login = async |email: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        let response = server.anonymous(Method::POST, "/api/login").json(&body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let wrong = login("jane@example.com", "wrong").await;
    assert_eq!(wrong.0, 401);
    assert_eq!(login("nobody@example.com", PASSWORD).await, wrong);
    assert_eq!(login("jane@example.com", &"x".repeat(5000)).await, wrong);
    let mut jane = server.backends.records.user("jane").await.unwrap().unwrap();
    jane.disabled = true;
    server.backends.records.upsert_user(&jane).await.unwrap();
    assert_eq!(login("jane@example.com", PASSWORD).await, wrong);
    for body in ["", "{}", "[]", "{\"email\":1}", "{\"email\":\"a\",\"password\":\"b\",\"more\":1}"] {
        let request = server.anonymous(Method::POST, "/api/login").header("content-type", "application/json");
        assert_eq!(request.body(body).send().await.unwrap().status(), 400, "{body}");
    }
}

#[tokio::test]
async fn after_too_many_wrong_passwords_an_account_has_to_wait() {
    let server = TestServer::with_settings(|settings| settings.realm.max_logins_per_account_and_address = 3).await;
    let login = async |email: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        server.anonymous(Method::POST, "/api/login").json(&body).send().await.unwrap()
    };
    for _ in 0..3 {
        assert_eq!(login("jane@example.com", "wrong").await.status(), 401);
    }
    let refused = login("JANE@example.com", PASSWORD).await;
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, "301"));
    assert_eq!(login("joe@example.com", PASSWORD).await.status(), 200);
    server.clock.advance(Duration::from_secs(300));
    assert_eq!(login("jane@example.com", PASSWORD).await.status(), 200);
    for _ in 0..3 {
        assert_eq!(login("jane@example.com", PASSWORD).await.status(), 200, "successful logins are not counted");
    }
}

#[tokio::test]
async fn values_that_are_too_long_are_refused_and_not_counted_for_an_account() {
    let server = TestServer::with_settings(|settings| {
        settings.realm.max_logins_per_account_and_address = 3;
        settings.realm.max_logins_per_address = 10;
    })
    .await;
    let login = async |email: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        server.anonymous(Method::POST, "/api/login").json(&body).send().await.unwrap().status().as_u16()
    };
    let long = format!("{}@example.com", "x".repeat(60_000));
    for _ in 0..4 {
        assert_eq!(
            login(&long, "x").await,
            401,
            "the attempt is counted for the address of the client, and for no account"
        );
        assert_eq!(login("jane@example.com", &"x".repeat(5000)).await, 401);
    }
    assert_eq!(login("jane@example.com", PASSWORD).await, 200);
    assert_eq!(login(&long, "x").await, 401);
    assert_eq!(login(&long, "x").await, 429);
}

#[tokio::test]
async fn an_address_has_a_limit_of_its_own() {
    let server = TestServer::with_settings(|settings| {
        settings.realm.max_logins_per_address = 3;
        settings.http.trusted_proxies = 1;
    })
    .await;
    let login = async |from: &str, n: usize| {
        let body = json!({"email": format!("{n}@example.com"), "password": "x"});
        let request = server.anonymous(Method::POST, "/api/login").header("x-forwarded-for", from).json(&body);
        request.send().await.unwrap().status().as_u16()
    };
    for n in 0..3 {
        assert_eq!(login("6.6.6.6, 203.0.113.1", n).await, 401);
    }
    assert_eq!(login("7.7.7.7, 203.0.113.1", 4).await, 429, "addresses that the client made up are ignored");
    assert_eq!(login("203.0.113.2", 5).await, 401);
    for (n, from) in
        ["6.6.6.6, [2001:db8::1]:4711", "7.7.7.7, [2001:db8::1]", "8.8.8.8, 2001:db8::1"].iter().enumerate()
    {
        assert_eq!(login(from, n).await, 401);
    }
    assert_eq!(login("9.9.9.9, [2001:db8::1]:4712", 6).await, 429, "a proxy may write the port as well");
    for (n, from) in ["6.6.6.6, unknown", "7.7.7.7, _hidden:80", "8.8.8.8,"].iter().enumerate() {
        assert_eq!(login(from, n).await, 401);
    }
    assert_eq!(
        login("9.9.9.9, unknown", 7).await,
        429,
        "an entry that is no address counts as the proxy's own address"
    );
}

#[tokio::test]
async fn a_session_is_renewed_while_it_lasts() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    server.clock.advance(Duration::from_secs(29 * 60));
    assert_eq!(jane.request_without_csrf(Method::POST, "/api/login/renewToken").send().await.unwrap().status(), 401);
    let response = jane.request(Method::POST, "/api/login/renewToken").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let renewed = Login::from_response(&server, &response);
    server.clock.advance(Duration::from_secs(60));
    assert_eq!(jane.get("/uploads/1").await.status(), 401);
    assert_eq!(renewed.get("/uploads/1").await.status(), 404);
    assert_eq!(jane.request(Method::POST, "/api/login/renewToken").send().await.unwrap().status(), 401);
    assert_eq!(renewed.upload_picture().await, "1001");
}
