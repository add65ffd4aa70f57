//! Tests `OPTIONS`, CORS headers, and the cookies and headers that a page with `document.domain` needs.

use reqwest::{Method, Response};

use crate::documents::start_server;
use crate::test_server::{FED, Login, PNG, TestServer, form, header};

const PORTAL: &str = "https://portal.example.com";

async fn options(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = server.anonymous(Method::OPTIONS, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn options_lists_the_methods_of_a_path() {
    let server = start_server().await;
    for (path, allow) in [
        ("/api/dropbox/pictures", "POST, OPTIONS"),
        ("/api/dropbox/pictures/1001", "GET, HEAD, PUT, OPTIONS"),
        ("/documents/api/1.2/files/D1/data/rendition", "GET, HEAD, POST, DELETE, OPTIONS"),
        ("/livez", "GET, HEAD, OPTIONS"),
        ("/", "GET,HEAD"),
        ("/page/login", "POST"),
    ] {
        let response = options(&server, path, &[]).await;
        assert_eq!(response.status(), 204, "{path}");
        assert_eq!(header(&response, "allow"), allow, "{path}");
        assert_eq!(response.text().await.unwrap(), "");
    }
    assert_eq!(options(&server, "/nothing/here", &[]).await.status(), 404);
    // The Allow header of a 405 is that of the contract, without OPTIONS.
    let response = server.anonymous(Method::DELETE, "/api/dropbox/pictures/1001").send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "allow")), (405, "GET, HEAD, PUT"));
}

fn has_cors(response: &Response) -> bool {
    response.headers().keys().any(|name| name.as_str().starts_with("access-control-"))
}

#[tokio::test]
async fn pages_of_other_origins_may_call_only_if_the_settings_name_them() {
    let preflight = [("origin", PORTAL), ("access-control-request-method", "POST")];
    let off = start_server().await;
    let response = options(&off, "/api/dropbox/pictures", &preflight).await;
    assert!(!has_cors(&response) && header(&response, "vary").is_empty());

    let server = TestServer::with_settings(|settings| settings.realm.cors.origins = vec![PORTAL.to_owned()]).await;
    let jane = server.login("jane").await;
    let requested_headers = format!("x-csrf-token_{FED},idempotency-key");
    let with_headers = [preflight.as_slice(), &[("access-control-request-headers", &requested_headers)]].concat();
    let response = options(&server, "/api/dropbox/pictures", &with_headers).await;
    assert_eq!(response.status(), 204);
    for (name, value) in [
        ("access-control-allow-origin", PORTAL),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "POST, OPTIONS"),
        ("access-control-allow-headers", &requested_headers),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(header(&response, name), value, "{name}");
    }
    for origin in ["https://evil.example.com", "http://portal.example.com", "https://portal.example.com:444", "null"] {
        let preflight = [("origin", origin), ("access-control-request-method", "POST")];
        let response = options(&server, "/api/dropbox/pictures", &preflight).await;
        assert!(!has_cors(&response), "{origin}");
        assert_eq!(header(&response, "vary"), "Origin");
    }
    // Responses to other requests have the CORS headers, too: successes, refusals, and unknown paths.
    for (path, status) in [("/api/users/jane.acmepaymentscorp/avatar", 200), ("/uploads/1", 404), ("/nothing", 404)] {
        let response = jane.request(Method::GET, path).header("origin", PORTAL).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(header(&response, "access-control-allow-origin"), PORTAL, "{path}");
        assert!(header(&response, "access-control-expose-headers").contains("X-Request-Id"), "{path}");
        let vary = response.headers().get_all("vary").iter().any(|vary| vary == "Origin");
        assert!(vary, "{path}");
        let same_origin = jane.get(path).await;
        assert!(!has_cors(&same_origin), "{path}");
    }
}

#[tokio::test]
async fn the_csrf_cookie_may_be_for_a_domain_and_the_session_never_is() {
    let domain = "example.com";
    let server = TestServer::with_settings(|settings| domain.clone_into(&mut settings.realm.csrf_cookie_domain)).await;
    let check = |response: &Response| {
        let cookies: Vec<_> =
            response.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
        assert_eq!(cookies.len(), 2);
        for line in cookies {
            assert_eq!(line.contains("; Domain=example.com;"), line.starts_with("Csrf-Token_"), "{line}");
            assert!(line.contains("; Path=/"), "{line}");
        }
    };
    let body = serde_json::json!({"email": "jane@example.com", "password": crate::test_server::PASSWORD});
    let response = server.anonymous(Method::POST, "/api/login").json(&body).send().await.unwrap();
    check(&response);
    let jane = Login::from_response(&server, &response);
    let renewed = jane.request(Method::POST, "/api/login/renewToken").send().await.unwrap();
    check(&renewed);
    // A browser removes the cookie only if the response names the same domain.
    check(&jane.request(Method::POST, "/api/logout").send().await.unwrap());
}

#[tokio::test]
async fn pages_are_not_isolated_by_origin_if_document_domain_is_enabled() {
    for enabled in [false, true] {
        let server = TestServer::with_settings(|settings| settings.realm.document_domain = enabled).await;
        let jane = server.login("jane").await;
        let expected = if enabled { "?0" } else { "" };
        let path = "/api/dropbox/pictures?wrapInHTML=true&document.domain=example.com";
        let upload = jane.request(Method::POST, path).header("host", "portal.example.com");
        let wrapped = upload.multipart(form("a.png", PNG)).send().await.unwrap();
        assert_eq!(header(&wrapped, "origin-agent-cluster"), expected);
        assert!(wrapped.text().await.unwrap().contains("document.domain='example.com'"));
        assert_eq!(header(&jane.get("/").await, "origin-agent-cluster"), expected);
    }
}
