//! `document.domain` in a real browser: a page of one host uploads through an iframe to another host of the same
//! domain, over TLS, and reads the answer.
//!
//! nginx serves both hosts; `CLOAKROOM_TEST_NGINX` is its path. Without it, or without `chromedriver`, this test prints
//! that and passes.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::browser::Browser;
use crate::test_server::{FED, PASSWORD, TestServer};

const DOMAIN: &str = "example.test";

/// The page of the portal. It reads the CSRF cookie, sends the form, and writes what it reads from the iframe into its
/// body. The placeholders are the address of the form, the name of the CSRF cookie, and the domain.
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

/// Serves the portal's page at one host, and the api at another, over TLS.
struct Nginx {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Nginx {
    /// Starts nginx and waits until it listens. `portal_headers` are directives for the portal's host.
    fn start(binary: &str, upstream: &str, portal_headers: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/engines/certificate");
        assert!(Command::new(certificate).arg(folder.path()).status().unwrap().success());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        drop(listener);
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String = temporary.iter().map(|name| format!("{name}_temp_path {path}/{name};\n")).collect();
        let config = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/log;\nevents {{}}\nhttp {{\n{temporary}\
             access_log off; client_max_body_size 0; default_type text/html;\n\
             ssl_certificate {path}/server.pem; ssl_certificate_key {path}/server.key;\n\
             server {{ listen {address} ssl; server_name portal.{DOMAIN}; root {path}; {portal_headers} }}\n\
             server {{ listen {address} ssl; server_name cloakroom.{DOMAIN}; location / {{ proxy_pass {upstream};\n\
             proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto https;\n\
             proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-For $remote_addr; }} }} }}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new(binary);
        command.arg("-c").arg(&file).arg("-p").arg(folder.path()).arg("-e").arg(&log).stdin(Stdio::null());
        let mut process = command.spawn().unwrap();
        while TcpStream::connect(address).is_err() {
            if let Some(ended) = process.try_wait().unwrap() {
                panic!("nginx ended: {ended}, {}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            std::thread::yield_now();
        }
        Self { process, port: address.port(), folder }
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}.{DOMAIN}:{}", self.port)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_sibling_domain_reads_the_answer() {
    let Some(nginx) = std::env::var("CLOAKROOM_TEST_NGINX").ok().filter(|path| !path.is_empty()) else {
        eprintln!("skipped: CLOAKROOM_TEST_NGINX is not set");
        return;
    };
    // Without the header the browser ignores `document.domain`. So the second run shows that the header is needed.
    for enabled in [true, false] {
        let map = format!("--host-resolver-rules=MAP *.{DOMAIN} 127.0.0.1");
        let Some(browser) = Browser::open_with("domain", &[&map, "--ignore-certificate-errors"]).await else { return };
        let server = TestServer::with_settings(|settings| {
            settings.http.trusted_proxies = 1;
            settings.realm.document_domain = enabled;
            DOMAIN.clone_into(&mut settings.realm.csrf_cookie_domain);
        })
        .await;
        let header = if enabled { "add_header Origin-Agent-Cluster ?0;" } else { "" };
        let nginx = Nginx::start(&nginx, &server.base, header);
        let action =
            format!("{}/api/dropbox/pictures?wrapInHTML=true&amp;document.domain={DOMAIN}", nginx.url("cloakroom"));
        let page = PORTAL_PAGE.replace("{{action}}", &action).replace("{{domain}}", DOMAIN);
        let page = page.replace("{{cookie}}", &format!("Csrf-Token_{FED}"));
        std::fs::write(nginx.folder.path().join("index.html"), page).unwrap();

        browser.post("url", json!({"url": nginx.url("cloakroom")})).await;
        browser.type_text("#email", "jane@example.com").await;
        browser.type_text("#password", PASSWORD).await;
        browser.click("button.primary").await;
        browser.find("#upload").await;
        browser.post("url", json!({"url": nginx.url("portal")})).await;
        browser.type_text("input[type=file]", crate::browser::PICTURE).await;
        browser.click("button").await;
        let text = browser.text("#read").await;
        assert_eq!(text == "200 1001", enabled, "{text}");
        // The upload itself succeeds either way: the CSRF cookie of the domain was read.
        assert_eq!(server.backends.records.stats().await.unwrap().admitted, 1, "{text}");
    }
}
