//! The UI in a real browser: headless Chromium, driven over WebDriver, with JavaScript and without.
//!
//! If there is no `chromedriver`, these tests print that and pass. If `CLOAKROOM_TEST_BROWSER` is set, `chromedriver`
//! is required. `tests/run` sets it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::test_server::{PASSWORD, TestServer, client};

/// A browser with one window. It closes when it is dropped.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    client: reqwest::Client,
    screenshot_prefix: &'static str,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Killing only the driver would leave the browser running. The request is written by hand because `drop` cannot
        // await.
        let address = self.session.trim_start_matches("http://");
        if let Some((host, path)) = address.split_once('/')
            && let Ok(mut driver) = TcpStream::connect(host)
        {
            let goodbye = format!("DELETE /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            driver.write_all(goodbye.as_bytes()).ok();
            driver.set_read_timeout(Some(Duration::from_secs(10))).ok();
            // Any answer means that the browser has closed.
            driver.read_exact(&mut [0]).ok();
        }
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}

/// The key of an element's id in the JSON of WebDriver.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Browser {
    /// Opens a browser; None if there is no `chromedriver`. The names of its screenshots begin with `shots`.
    pub(crate) async fn open(shots: &'static str) -> Option<Self> {
        Self::open_with(shots, &[]).await
    }

    /// Like [`open`](Self::open), with more arguments for the browser.
    pub(crate) async fn open_with(shots: &'static str, more: &[&str]) -> Option<Self> {
        let driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut driver) = driver else {
            assert!(
                std::env::var_os("CLOAKROOM_TEST_BROWSER").is_none(),
                "CLOAKROOM_TEST_BROWSER is set, but there is no chromedriver"
            );
            eprintln!("skipped: there is no chromedriver");
            return None;
        };
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.filter_map(|line| line.split("successfully on port ").nth(1).map(str::to_owned)).next();
        let base = format!("http://127.0.0.1:{}", port.unwrap().trim_end_matches('.'));
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=900,1600",
        ];
        let arguments = [arguments.as_slice(), more].concat();
        let options = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments}, "timeouts": {"implicit": 20000}}}});
        let client = client();
        let opened = client.post(format!("{base}/session")).json(&options).send().await.unwrap();
        let opened: Value = opened.json().await.unwrap();
        let id = opened["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{opened}"));
        Some(Self { driver, session: format!("{base}/session/{id}"), client, screenshot_prefix: shots })
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.client.post(format!("{}/{path}", self.session)).timeout(Duration::from_secs(60));
        let answer: Value = request.json(&body).send().await.unwrap().json().await.unwrap();
        assert!(answer["value"]["error"].is_null(), "{path}: {}", answer["value"]["message"]);
        answer["value"].clone()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer: Value =
            self.client.get(format!("{}/{path}", self.session)).send().await.unwrap().json().await.unwrap();
        answer["value"].clone()
    }

    /// Waits until the element exists, and returns its path below the WebDriver session.
    pub(crate) async fn find(&self, css: &str) -> String {
        let found = self.post("element", json!({"using": "css selector", "value": css})).await;
        format!("element/{}", found[ELEMENT].as_str().unwrap())
    }

    /// Waits until the element with this id has this text.
    pub(crate) async fn wait_for_text(&self, id: &str, text: &str) {
        let path = format!("//*[@id='{id}' and normalize-space()=\"{text}\"]");
        self.post("element", json!({"using": "xpath", "value": path})).await;
    }

    pub(crate) async fn click(&self, css: &str) {
        let element = self.find(css).await;
        self.post(&format!("{element}/click"), json!({})).await;
    }

    pub(crate) async fn type_text(&self, css: &str, text: &str) {
        let element = self.find(css).await;
        self.post(&format!("{element}/value"), json!({"text": text})).await;
    }

    pub(crate) async fn text(&self, css: &str) -> String {
        let element = self.find(css).await;
        self.get(&format!("{element}/text")).await.as_str().unwrap_or_default().to_owned()
    }

    async fn log_in(&self, server: &TestServer) {
        self.post("url", json!({"url": server.url("/")})).await;
        let spoken = self.accessible_names().await;
        let said = |role: &str, name: &str| spoken.iter().any(|(r, n)| r == role && n == name);
        assert!(
            said("textbox", "E-mail address") && said("textbox", "Password") && said("button", "Log in"),
            "{spoken:?}"
        );
        self.type_text("#email", "jane@example.com").await;
        self.type_text("#password", PASSWORD).await;
        self.click("button.primary").await;
        self.find("#upload").await;
    }

    /// Returns the role and the name of every visible element that can be reached by keyboard, as a screen reader
    /// announces them. Asserts that every such element has a name and a specific role.
    pub(crate) async fn accessible_names(&self) -> Vec<(String, String)> {
        let css = "a[href], button, input:not([type=hidden]), select, [tabindex]";
        let found = self.post("elements", json!({"using": "css selector", "value": css})).await;
        let mut spoken = Vec::new();
        for element in found.as_array().unwrap() {
            let element = format!("element/{}", element[ELEMENT].as_str().unwrap());
            if self.get(&format!("{element}/displayed")).await == true {
                let said = async |what: &str| self.get(&format!("{element}/{what}")).await.as_str().unwrap().to_owned();
                spoken.push((said("computedrole").await, said("computedlabel").await));
            }
        }
        assert!(spoken.iter().all(|(role, name)| role != "generic" && !name.is_empty()), "{spoken:?}");
        spoken
    }

    /// Saves a screenshot of the window for a person to look at.
    pub(crate) async fn screenshot(&self, name: &str) {
        use base64::Engine as _;
        let picture = self.get("screenshot").await;
        let bytes = base64::engine::general_purpose::STANDARD.decode(picture.as_str().unwrap()).unwrap();
        let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/page");
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(format!("{folder}/{}-{name}.png", self.screenshot_prefix), bytes).unwrap();
    }
}

/// The button "Log out everywhere" ends every session of the user, in other browsers too. It works with JavaScript and
/// without.
#[tokio::test]
async fn the_button_logs_out_everywhere() {
    let Some(browser) = Browser::open("logout").await else { return };
    let server = TestServer::new().await;
    for script in [true, false] {
        let off = json!({"cmd": "Emulation.setScriptExecutionDisabled", "params": {"value": !script}});
        browser.post("goog/cdp/execute", off).await;
        let elsewhere = server.login("jane").await;
        assert_eq!(elsewhere.get("/uploads/1").await.status(), 404);
        browser.log_in(&server).await;
        let spoken = browser.accessible_names().await;
        assert!(spoken.contains(&("button".to_owned(), "Log out everywhere".to_owned())), "{spoken:?}");
        browser.screenshot("buttons").await;
        let copied = browser.get("cookie").await;
        browser.click("button[name=everywhere]").await;
        browser.find("#email").await;
        assert_eq!(elsewhere.get("/uploads/1").await.status(), 401);
        let is_session = |cookie: &&Value| cookie["name"].as_str().unwrap().starts_with("AtmoAuthToken_");
        let copied = copied.as_array().unwrap().iter().find(is_session).unwrap()["value"].as_str().unwrap();
        let request = server.anonymous(reqwest::Method::GET, "/uploads/1").bearer_auth(copied);
        assert_eq!(request.send().await.unwrap().status(), 401, "a copy of this browser's cookie is refused, too");
    }
}

pub(crate) const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/pictures/small.jpg");

#[tokio::test]
async fn a_user_uploads_crops_and_claims_with_the_script() {
    let Some(browser) = Browser::open("script").await else { return };
    let server = TestServer::new().await;
    browser.log_in(&server).await;
    browser.type_text("#file", PICTURE).await;
    browser.click("#upload button").await;
    browser.find("#crop-section:not([hidden])").await;
    assert_eq!(browser.text("#stage").await, "Ready. The number of the picture is 1001.");
    let stage = browser.find("#stage").await;
    let live = browser.get(&format!("{stage}/computedrole")).await;
    assert_eq!(live, "status", "a screen reader announces changes");
    assert!(browser.accessible_names().await.len() >= 5);
    // By keyboard: four steps smaller, two steps to the right.
    browser.type_text("#selection", "----\u{E014}\u{E014}").await;
    let label = browser.find("#selection").await;
    let label = browser.get(&format!("{label}/attribute/aria-label")).await;
    assert_eq!(label, "Selected square: 16 from the left, 0 from the top, side length 480");
    browser.click("#crop button").await;
    browser.find("#message.good:not(:empty)").await;
    browser.screenshot("crop").await;
    browser.click("#claim button").await;
    browser.find("#crop-section[hidden]").await;
    assert_eq!(browser.text("#message").await, "The picture is now your avatar.");
    let upload = server.backends.records.upload("1001".parse().unwrap()).await.unwrap().unwrap();
    assert!(upload.claim.is_some());
    let crop = upload.crop.part.unwrap();
    assert_eq!((crop.x, crop.y, crop.w, crop.h), (16, 0, 480, 480));
    browser.screenshot("saved").await;
}

#[tokio::test]
async fn a_user_uploads_crops_and_claims_without_a_script() {
    let Some(browser) = Browser::open("forms").await else { return };
    let server = TestServer::new().await;
    let off = json!({"cmd": "Emulation.setScriptExecutionDisabled", "params": {"value": true}});
    browser.post("goog/cdp/execute", off).await;
    browser.log_in(&server).await;
    browser.type_text("#file", PICTURE).await;
    browser.click("#upload button").await;
    browser.post("frame", json!({"id": {ELEMENT: browser.find("iframe").await.trim_start_matches("element/")}})).await;
    let body = browser.find("body[status='200'][statustext='success']").await;
    assert_eq!(browser.get(&format!("{body}/text")).await, "1001");
    browser.post("frame/parent", json!({})).await;
    browser.screenshot("number").await;
    browser.type_text("#number", "1001").await;
    browser.click("form[method=get] button").await;
    browser.find("#crop-section:not([hidden])").await;
    let side = browser.find("input[name=side]").await;
    browser.post(&format!("{side}/clear"), json!({})).await;
    browser.type_text("input[name=side]", "200").await;
    browser.click("#crop button").await;
    browser.find("#claim-section:not([hidden])").await;
    browser.screenshot("crop").await;
    browser.click("#claim button").await;
    browser.find("#claim-section[hidden]").await;
    let upload = server.backends.records.upload("1001".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(upload.crop.part.map(|crop| (crop.w, crop.h)), Some((200, 200)));
    assert!(upload.claim.is_some());
}
