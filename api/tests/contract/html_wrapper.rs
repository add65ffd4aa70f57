//! Tests `?wrapInHTML=true`, which puts the response into an HTML page.

use reqwest::Method;

use crate::test_server::{PNG, TestServer, form, header};

#[tokio::test]
async fn the_page_is_that_of_the_contract_byte_for_byte() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let path = "/api/dropbox/pictures?wrapInHTML=True&document.domain=";
    let response = jane.request(Method::POST, path).multipart(form("a.png", PNG)).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), "text/html; charset=UTF-8");
    let page = response.text().await.unwrap();
    let (head, rest) = page.split_once("<meta name=\"description\" content=\"").unwrap();
    let (filler, rest) = rest.split_once('"').unwrap();
    assert_eq!(
        head,
        "<!DOCTYPE html><html lang=\"en\" status=\"200\" statusText=\"success\"><head>\
         <meta content=\"text/html; charset=UTF-8\" http-equiv=\"Content-Type\">\
         <meta content=\"IE=edge\" http-equiv=\"X-UA-Compatible\">"
    );
    assert_eq!(filler.len(), 500);
    assert_eq!(rest, "></head><body status=\"200\" statusText=\"success\">1001</body></html>");
}

#[tokio::test]
async fn errors_are_wrapped_with_their_status() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let path = "/api/dropbox/pictures?wrapInHTML=true";
    let nobody = server.anonymous(Method::POST, path).multipart(form("a.png", PNG)).send().await.unwrap();
    assert_eq!(nobody.status(), 401);
    let page = nobody.text().await.unwrap();
    assert!(
        page.contains("<body status=\"401\" statusText=\"Unauthorized\">You are not logged in; log in first.</body>")
    );
    assert!(page.len() > 512);
    let refused = jane.request(Method::POST, path).multipart(form("a.png", b"<script>alert(1)</script>")).send().await;
    let refused = refused.unwrap();
    assert_eq!(refused.status(), 415);
    assert!(refused.text().await.unwrap().contains("status=\"415\""));
}

#[tokio::test]
async fn the_domain_is_reflected_only_if_it_contains_the_host() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    for (domain, reflected) in [
        ("portal.example.com", true),
        ("example.com", true),
        ("evil.com", false),
        ("example.com%27%3Balert(1)%2F%2F", false),
        ("%3Cscript%3E", false),
        ("%22", false),
        ("ample.com", false),
        ("", false),
    ] {
        let path = format!("/api/dropbox/pictures?wrapInHTML=true&document.domain={domain}");
        let request = jane.request(Method::POST, &path).header("host", "portal.example.com:8443");
        let response = request.multipart(form("a.png", PNG)).send().await.unwrap();
        let policy = header(&response, "content-security-policy").to_owned();
        let page = response.text().await.unwrap();
        let script = format!("<script>document.domain='{domain}'</script></head>");
        assert_eq!(page.contains(&script), reflected, "{domain}");
        assert_eq!(page.contains("<script>"), reflected, "{domain}");
        assert_eq!(policy.contains("sha256-"), reflected);
    }
}
