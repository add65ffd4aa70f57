//! Tests `document.domain` in a real browser: a page of one host uploads through an iframe to another host of the same
//! domain, over TLS, and reads the answer.
//!
//! nginx serves both hosts; `CLOAKROOM_TEST_NGINX` is its path. Without it, or without `chromedriver`, this test prints
//! that and passes.

use std::process::Command;

use serde_json::json;
use test_support::nginx::{Nginx, nginx_program};

use crate::browser::Browser;
use crate::test_server::{FED, PASSWORD, TestServer};

const DOMAIN: &str = "example.test";

/// The page of the portal. When its form is submitted, its script copies the CSRF cookie into the form. Once the iframe
/// has the answer, the script writes the text that it reads from the iframe into the paragraph of the page. The
/// placeholders are the address of the form, the name of the CSRF cookie, and the domain.
const PORTAL_PAGE: &str = r#"<!DOCTYPE html><title>Portal</title><body>
<form method="post" enctype="multipart/form-data" target="answer" action="{{action}}">
<input type="hidden" name="X-{{cookie}}"><input type="file" name="Profile"><button>Upload</button></form>
<iframe name="answer"></iframe><p></p>
<script>
document.domain = "{{domain}}";
document.forms[0].addEventListener("submit", () => {
  const cookie = document.cookie.split("; ").find((pair) => pair.startsWith("{{cookie}}="));
  document.forms[0].elements[0].value = cookie ? cookie.slice("{{cookie}}=".length) : "";
  document.querySelector("iframe").addEventListener("load", () => {
    let text;
    try {
      const body = document.querySelector("iframe").contentDocument.body;
      text = body.getAttribute("status") + " " + body.textContent;
    } catch (error) {
      text = error.name;
    }
    document.querySelector("p").textContent = text;
    document.querySelector("p").id = "read";
  });
});
</script>"#;

/// Starts an nginx that serves the portal's page at one host, and the api at another, over TLS. `portal_headers` are
/// directives for the portal's host.
fn start_nginx(program: &str, upstream: &str, portal_headers: &str) -> Nginx {
    Nginx::start(program, 1, |folder, addresses| {
        let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/engines/make-certificate");
        assert!(Command::new(certificate).arg(folder).status().unwrap().success());
        let (path, address) = (folder.display(), addresses[0]);
        format!(
            "default_type text/html;\n\
             ssl_certificate {path}/server.pem; ssl_certificate_key {path}/server.key;\n\
             server {{ listen {address} ssl; server_name portal.{DOMAIN}; root {path}; {portal_headers} }}\n\
             server {{ listen {address} ssl; server_name cloakroom.{DOMAIN}; location / {{ proxy_pass {upstream};\n\
             proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto https;\n\
             proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-For $remote_addr; }} }}\n"
        )
    })
}

fn url(nginx: &Nginx, host: &str) -> String {
    format!("https://{host}.{DOMAIN}:{}", nginx.addresses[0].port())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_sibling_domain_reads_the_answer() {
    let Some(nginx) = nginx_program() else { return };
    // Without the header Origin-Agent-Cluster the browser ignores `document.domain`. So the second run shows that the
    // header is needed.
    for enabled in [true, false] {
        let resolver_rule = format!("--host-resolver-rules=MAP *.{DOMAIN} 127.0.0.1");
        let Some(browser) = Browser::open_with("domain", &[&resolver_rule, "--ignore-certificate-errors"]).await else {
            return;
        };
        let server = TestServer::with_settings(|settings| {
            settings.http.trusted_proxies = 1;
            settings.realm.document_domain = enabled;
            DOMAIN.clone_into(&mut settings.realm.csrf_cookie_domain);
        })
        .await;
        let header = if enabled { "add_header Origin-Agent-Cluster ?0;" } else { "" };
        let nginx = start_nginx(&nginx, &server.base, header);
        let action =
            format!("{}/api/dropbox/pictures?wrapInHTML=true&amp;document.domain={DOMAIN}", url(&nginx, "cloakroom"));
        let page = PORTAL_PAGE.replace("{{action}}", &action).replace("{{domain}}", DOMAIN);
        let page = page.replace("{{cookie}}", &format!("Csrf-Token_{FED}"));
        std::fs::write(nginx.folder().join("index.html"), page).unwrap();

        browser.post("url", json!({"url": url(&nginx, "cloakroom")})).await;
        browser.type_text("#email", "jane@example.com").await;
        browser.type_text("#password", PASSWORD).await;
        browser.click("button.primary").await;
        browser.find("#upload").await;
        browser.post("url", json!({"url": url(&nginx, "portal")})).await;
        browser.type_text("input[type=file]", crate::browser::PICTURE).await;
        browser.click("button").await;
        let text = browser.text("#read").await;
        assert_eq!(text == "200 1001", enabled, "{text}");
        // The upload itself succeeds either way: the CSRF cookie of the domain was read.
        assert_eq!(server.backends.records.stats().await.unwrap().admitted, 1, "{text}");
    }
}
