//! The page behind `appLinkUrl` (`docs/contracts/renditions.md`, 13.5): its response, and the page in a browser.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::browser::{Browser, PICTURE};
use crate::documents::{api_request, start_server, upload_file, upload_file_with_idle_worker, wait_for_in_flight};
use crate::test_server::{JPEG, Login, TestServer, header, serve_portal};

/// A created applink: what its creator gives to other users.
struct Link {
    id: String,
    /// The address of its page, without tokens.
    page: String,
    access: String,
    refresh: String,
}

impl Link {
    async fn create(login: &Login<'_>, file: &str, role: &str) -> Self {
        let request = api_request(login, Method::POST, &format!("/applinks/file/{file}"));
        let request = request.json(&json!({"assignedUser": "@everybody", "role": role}));
        let made: Value = request.send().await.unwrap().json().await.unwrap();
        let text = |name: &str| made[name].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        let (id, access, refresh) = (text("appLinkID"), text("accessToken"), text("refreshToken"));
        Self { id, page: login.server.url(&text("appLinkUrl")), access, refresh }
    }

    /// The address of the page, with the access token in its fragment.
    fn with_access(&self) -> String {
        format!("{}#accessToken={}", self.page, self.access)
    }

    /// The address of the page, with both tokens in its fragment.
    fn with_refresh(&self) -> String {
        format!("{}&refreshToken={}", self.with_access(), self.refresh)
    }
}

#[tokio::test]
async fn the_page_is_the_same_for_every_link() {
    const PORTAL: &str = "https://portal.example.com";
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let link = Link::create(&jane, &id, "viewer").await;
    let path = link.page.trim_start_matches(&server.base).to_owned();
    let mut pages = Vec::new();
    for path in [path.clone(), path.replace(&link.id, "Lnone"), path.replace(&id, "Dnone")] {
        let page = server.anonymous(Method::GET, &path).send().await.unwrap();
        assert_eq!(page.status(), 200);
        let names = ["content-type", "cache-control", "referrer-policy", "x-content-type-options"];
        let expected = ["text/html; charset=utf-8", "no-store", "no-referrer", "nosniff"];
        assert_eq!(names.map(|name| header(&page, name)), expected);
        let policy = header(&page, "content-security-policy").to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{policy}");
        assert!(policy.ends_with("; frame-ancestors 'self'") && !policy.contains("unsafe"), "{policy}");
        assert!(page.headers().get("set-cookie").is_none());
        pages.push(page.text().await.unwrap());
    }
    assert!(pages.iter().all(|page| *page == pages[0] && !page.contains(&link.id) && !page.contains(&id)));
    let refused = server.anonymous(Method::POST, &path).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), header(&refused, "allow")), (405, "GET,HEAD"));

    let framed = TestServer::with_settings(|settings| settings.realm.cors.origins = vec![PORTAL.to_owned()]).await;
    let page = framed.anonymous(Method::GET, &path).send().await.unwrap();
    let policy = header(&page, "content-security-policy");
    assert!(policy.ends_with(&format!("; frame-ancestors 'self' {PORTAL}")), "{policy}");
    let other = framed.anonymous(Method::GET, "/").send().await.unwrap();
    assert!(
        header(&other, "content-security-policy").ends_with("; frame-ancestors 'none'"),
        "no other origin may frame the page at /"
    );
}

/// Opens `about:blank` and then an address. Without `about:blank` the browser would not load the page again if only the
/// fragment of its address had changed.
async fn open(browser: &Browser, address: &str) {
    browser.post("url", json!({"url": "about:blank"})).await;
    browser.post("url", json!({"url": address})).await;
}

#[tokio::test]
async fn a_contributor_sees_uploads_and_downloads() {
    let Some(browser) = Browser::open("applink").await else { return };
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let link = Link::create(&jane, &id, "contributor").await;
    open(&browser, &link.with_refresh()).await;
    browser.wait_for_text("name", "jellyfish.png").await;
    browser.find("#file-section:not([hidden])").await;
    assert_eq!(browser.get("url").await, link.page.as_str(), "the tokens are not in the address");
    assert_eq!(browser.text("#version").await, "1");
    assert_eq!(browser.text("#type").await, "image/png");
    assert!(browser.text("#size").await.contains("MiB"));
    assert!(browser.text("#uploaded").await.starts_with("November 21, 2026"), "{}", browser.text("#uploaded").await);
    // Once the picture is decoded, its size is known.
    let decoded = "const done = arguments[0]; document.getElementById('preview').decode().then(() => done(true))";
    assert_eq!(browser.post("execute/async", json!({"script": decoded, "args": []})).await, true);
    assert!(browser.is_displayed("#preview").await);
    let spoken = browser.accessible_names().await;
    for name in ["Download", "Choose a file", "Upload"] {
        assert!(spoken.iter().any(|(_, spoken)| spoken == name), "{spoken:?}");
    }
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")] {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        for (cmd, params) in [("Emulation.setDeviceMetricsOverride", size), ("Emulation.setEmulatedMedia", features)] {
            browser.post("goog/cdp/execute", json!({"cmd": cmd, "params": params})).await;
        }
        browser.screenshot(&format!("{width}-{scheme}")).await;
        assert_eq!(browser.evaluate("document.documentElement.scrollWidth").await, width);
    }

    // The access token expires while the page is open, so the page has to use its refresh token.
    server.clock.advance(Duration::from_secs(15 * 60));
    browser.type_text("#file", PICTURE).await;
    browser.click("#upload button").await;
    browser.wait_for_text("stage", "Version 2 is ready.").await;
    assert_eq!(browser.text("#name").await, "small.jpg");
    assert_eq!(browser.text("#type").await, "image/jpeg");
    assert!(!browser.is_displayed("#progress").await);
    assert_eq!(browser.text("#upload-message").await, "");
    let version = server.backends.records.file_version(&id.parse().unwrap(), 2).await.unwrap().unwrap();
    assert_eq!(version.upload.unwrap().bytes, JPEG.len() as u64);

    let folder = tempfile::tempdir().unwrap();
    let behavior = json!({"behavior": "allow", "downloadPath": folder.path()});
    browser.post("goog/cdp/execute", json!({"cmd": "Browser.setDownloadBehavior", "params": behavior})).await;
    browser.click("#download").await;
    browser.wait_for_text("download-status", "Downloaded.").await;
    // The browser writes the file under another name and renames it at the end.
    let saved = folder.path().join("small.jpg");
    let written = async {
        while !saved.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.unwrap();
    assert_eq!(std::fs::read(&saved).unwrap(), JPEG);
    browser.screenshot("uploaded").await;

    open(&browser, &link.with_refresh()).await;
    browser.wait_for_text("version", "2").await;
    browser.post("refresh", json!({})).await;
    let gone = "This page was opened without a valid access token, or it was loaded again. Open it again from the page \
                that links to it.";
    browser.wait_for_text("message", gone).await;
    assert!(!browser.is_displayed("#file-section").await && !browser.is_displayed("#upload-section").await);
    // The page that embeds it hands over new tokens.
    let hash = format!("location.hash = 'accessToken={}&refreshToken={}'", link.access, link.refresh);
    browser.evaluate(&hash).await;
    browser.wait_for_text("version", "2").await;
    browser.wait_for_text("message", "").await;
    assert!(browser.is_displayed("#file-section").await);
}

/// Starts a portal whose page shows the page of a link in a frame. Returns the origin of the portal.
async fn embed(listener: TcpListener, page: String) -> String {
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let html = axum::response::Html(format!("<!DOCTYPE html><title>Portal</title><iframe src=\"{page}\"></iframe>"));
    let router = axum::Router::new().route("/", axum::routing::get(async || html));
    tokio::spawn(serve_portal(listener, router));
    origin
}

#[tokio::test]
async fn only_a_portal_that_the_settings_name_embeds_the_page() {
    let Some(browser) = Browser::open("applink").await else { return };
    let listener = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (named, other) = (listener().await, listener().await);
    let origin = format!("http://{}", named.local_addr().unwrap());
    let server = TestServer::with_settings(|settings| settings.realm.cors.origins = vec![origin]).await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let page = Link::create(&jane, &id, "viewer").await.with_access();
    open(&browser, &embed(named, page.clone()).await).await;
    browser.post("frame", json!({"id": 0})).await;
    browser.wait_for_text("name", "jellyfish.png").await;
    open(&browser, &embed(other, page).await).await;
    browser.post("frame", json!({"id": 0})).await;
    assert_eq!(browser.evaluate("document.getElementById('name')").await, Value::Null);
}

#[tokio::test]
async fn what_a_link_does_not_permit_is_not_offered() {
    const INVALID: &str = "The link is not valid, or has expired. Ask for a new one.";
    let Some(browser) = Browser::open("applink").await else { return };
    let server = start_server().await;
    let jane = server.login("jane").await;
    let (id, other) = (upload_file(&jane).await, upload_file(&jane).await);
    for (role, download, upload) in [("viewer", false, false), ("downloader", true, false), ("contributor", true, true)]
    {
        let link = Link::create(&jane, &id, role).await;
        open(&browser, &link.with_access()).await;
        browser.find("#file-section:not([hidden])").await;
        assert!(browser.is_displayed("#preview").await, "{role}");
        assert_eq!(browser.is_displayed("#download").await, download, "{role}");
        assert_eq!(browser.is_displayed("#upload-section").await, upload, "{role}");
    }
    let link = Link::create(&jane, &id, "contributor").await;
    open(&browser, &format!("{}#accessToken=wrong", link.page)).await;
    browser.wait_for_text("message", INVALID).await;
    assert_eq!(browser.get("url").await, link.page.as_str());
    assert!(!browser.is_displayed("#file-section").await && !browser.is_displayed("#upload-section").await);
    browser.screenshot("wrong").await;
    open(&browser, &link.with_access().replace(&link.id, "Lnone")).await;
    browser.wait_for_text("message", INVALID).await;
    open(&browser, &link.with_access().replace(&id, "Dnone")).await;
    browser.wait_for_text("message", "The file was not found.").await;
    open(&browser, &link.with_access().replace(&id, &other)).await;
    browser.find("#message:not(:empty)").await;
    assert!(browser.text("#message").await.contains("has insufficient privilege"));

    // The link is revoked while the page is open, so the form says why it cannot upload.
    open(&browser, &link.with_refresh()).await;
    browser.find("#upload-section:not([hidden])").await;
    let revoked = api_request(&jane, Method::DELETE, &format!("/applinks/{}", link.id)).send().await.unwrap();
    assert_eq!(revoked.status(), 200);
    browser.type_text("#file", PICTURE).await;
    browser.click("#upload button").await;
    browser.wait_for_text("upload-message", INVALID).await;

    let link = Link::create(&jane, &id, "viewer").await;
    server.clock.advance(Duration::from_secs(15 * 60));
    open(&browser, &link.with_access()).await;
    browser.wait_for_text("message", INVALID).await;
    open(&browser, &link.with_refresh()).await;
    browser.wait_for_text("name", "jellyfish.png").await;

    let off = json!({"cmd": "Emulation.setScriptExecutionDisabled", "params": {"value": true}});
    browser.post("goog/cdp/execute", off).await;
    open(&browser, &link.with_refresh()).await;
    assert!(browser.text("noscript").await.starts_with("This page needs a script."));
}

#[tokio::test]
async fn an_upload_that_fails_is_explained_beside_the_form() {
    let Some(browser) = Browser::open("applink").await else { return };
    let server = TestServer::with_idle_worker(|_| {}).await;
    let jane = server.login("jane").await;
    let id = upload_file_with_idle_worker(&jane).await;
    let link = Link::create(&jane, &id, "contributor").await;
    open(&browser, &link.with_refresh()).await;
    browser.find("#upload-section:not([hidden])").await;
    browser.type_text("#file", PICTURE).await;
    browser.click("#upload button").await;
    wait_for_in_flight(&server, 1).await;
    browser.find("#upload-progress:not([hidden])").await;
    server.clock.advance(server.settings.uploads.deadline);
    server.sweep().await;
    browser.find("#upload-progress[hidden]").await;
    let message = browser.text("#upload-message").await;
    assert!(message.starts_with("No worker settled this upload before its deadline"), "{message}");
    assert_eq!(browser.text("#version").await, "1");
    browser.screenshot("failed").await;
    // The worker drops the job, because its upload has ended.
    server.run_jobs().await;
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_sent() {
    let Some(browser) = Browser::open("applink").await else { return };
    let server = TestServer::with_settings(|settings| {
        settings.documents.max_file_bytes = bytesize::ByteSize::b(JPEG.len() as u64 - 1);
    })
    .await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let link = Link::create(&jane, &id, "contributor").await;
    open(&browser, &link.with_access()).await;
    browser.find("#upload-section:not([hidden])").await;
    browser.type_text("#file", PICTURE).await;
    browser.click("#upload button").await;
    browser.find("#upload-message:not(:empty)").await;
    assert!(browser.text("#upload-message").await.starts_with("The file is larger than "));
    assert_eq!(server.backends.records.stats().await.unwrap().in_flight, 0);
}
