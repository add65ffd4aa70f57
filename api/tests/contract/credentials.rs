//! Where the api looks for credentials, and what a refusal says about them.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use crate::test_server::{FED, PNG, TestServer, header};

#[tokio::test]
async fn every_401_has_a_challenge() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let name = json!({"Name": "x"});
    let put = format!("/api/users/jane.{FED}");
    for (response, challenge) in [
        (server.anonymous(Method::GET, "/uploads/1").send().await, "Bearer realm=\"cloakroom\""),
        (server.anonymous(Method::GET, "/documents/api/1.2/files/D1").send().await, "Bearer realm=\"cloakroom\""),
        (server.anonymous(Method::POST, "/api/dropbox/pictures").send().await, "Bearer realm=\"cloakroom\""),
        (
            server.anonymous(Method::POST, "/api/login").json(&json!({"email": "a@b.c", "password": "x"})).send().await,
            "Bearer realm=\"cloakroom\"",
        ),
        (jane.request_without_csrf(Method::PUT, &put).json(&name).send().await, "Bearer realm=\"cloakroom\""),
        (
            server.anonymous(Method::GET, "/uploads/1").bearer_auth("forged").send().await,
            "Bearer realm=\"cloakroom\", error=\"invalid_token\"",
        ),
    ] {
        let response = response.unwrap();
        assert_eq!(response.status(), 401, "{}", response.url());
        assert_eq!(header(&response, "www-authenticate"), challenge, "{}", response.url());
    }
    assert_eq!(header(&jane.get("/livez").await, "www-authenticate"), "");
}

#[tokio::test]
async fn credentials_of_a_proxy_do_not_hide_the_cookie() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    for authorization in ["Basic amFuZTpzZWNyZXQ=", "Basic a.b.c", "Negotiate abc", "Bearer"] {
        let request = jane.request(Method::GET, "/uploads/1").header("authorization", authorization);
        assert_eq!(request.send().await.unwrap().status(), 404, "{authorization}");
    }
    // The CSRF token is still required, because the cookie authenticates the request.
    let request = jane.request_without_csrf(Method::PUT, &format!("/api/users/jane.{FED}"));
    let request = request.basic_auth("jane", Some("secret")).json(&json!({"Name": "x"}));
    assert_eq!(request.send().await.unwrap().status(), 401);
    // A bearer token takes precedence over the cookie, even if the token is invalid.
    let request = jane.request(Method::GET, "/uploads/1").bearer_auth("forged");
    assert_eq!(request.send().await.unwrap().status(), 401);
    let response = server.anonymous(Method::GET, "/uploads/1").basic_auth("jane", Some("secret")).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(response.text().await.unwrap().contains("Bearer <token>"));
}

#[tokio::test]
async fn the_csrf_token_is_found_under_both_names() {
    // Some proxies drop every header whose name has an underscore. Here the name of the federation member has one. So
    // the api also accepts hyphens in place of all underscores.
    let fed = "acme_payments";
    let server = TestServer::with_settings(|settings| fed.clone_into(&mut settings.realm.fedmember)).await;
    let jane = server.login("jane").await;
    let cookie = format!("AtmoAuthToken_{fed}={}", jane.session);
    let put = format!("/api/users/jane.{fed}");
    for (name, status) in [
        ("X-Csrf-Token_acme_payments", 200),
        ("X-Csrf-Token-acme-payments", 200),
        ("x-csrf-token-ACME-payments", 200),
        ("X-Csrf-Token", 401),
    ] {
        let request = server.anonymous(Method::PUT, &put).header("cookie", &cookie).header(name, &jane.csrf);
        let response = request.json(&json!({"Name": "x"})).send().await.unwrap();
        assert_eq!(response.status(), status, "{name}");
        if status == 401 {
            let text = response.text().await.unwrap();
            assert!(text.contains("header X-Csrf-Token_acme_payments,"), "{text}");
            assert!(text.contains("cookie Csrf-Token_acme_payments "), "{text}");
        }
    }
    for name in ["X-Csrf-Token_acme_payments", "X-Csrf-Token-acme-payments"] {
        let form = Form::new().text(name, jane.csrf.clone()).part("Profile", Part::bytes(PNG).file_name("a.png"));
        let request = server.anonymous(Method::POST, "/api/dropbox/pictures").header("cookie", &cookie);
        assert_eq!(request.multipart(form).send().await.unwrap().status(), 200, "{name}");
    }
}
