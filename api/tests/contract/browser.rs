//! The UI in a real browser: headless Chromium, driven over WebDriver, with JavaScript and without.
//!
//! If there is no `chromedriver`, these tests print that and pass. If `CLOAKROOM_TEST_BROWSER` is set, `chromedriver`
//! is required. `tests/run` sets it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::test_server::{PASSWORD, client};

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
/// The key of an element's id in WebDriver (12.1).
pub(crate) const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

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

    /// Opens the page at this address, and logs Jane in.
    pub(crate) async fn log_in(&self, page: &str) {
        self.post("url", json!({"url": page})).await;
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

    pub(crate) async fn is_displayed(&self, css: &str) -> bool {
        let element = self.find(css).await;
        self.get(&format!("{element}/displayed")).await == true
    }

    pub(crate) async fn property(&self, css: &str, name: &str) -> Value {
        let element = self.find(css).await;
        self.get(&format!("{element}/property/{name}")).await
    }

    /// Returns the value of an expression in the page.
    pub(crate) async fn evaluate(&self, expression: &str) -> Value {
        self.post("execute/sync", json!({"script": format!("return {expression}"), "args": []})).await
    }

    /// Waits until an element that this selector finds has a text that begins so.
    pub(crate) async fn wait_for_beginning(&self, id: &str, text: &str) {
        let path = format!("//*[@id='{id}']//*[starts-with(normalize-space(), \"{text}\")]");
        self.post("element", json!({"using": "xpath", "value": path})).await;
    }

    /// Sends a command of the Chrome DevTools Protocol.
    pub(crate) async fn command(&self, cmd: &str, params: Value) {
        self.post("goog/cdp/execute", json!({"cmd": cmd, "params": params})).await;
    }

    /// Turns scripts off or on, from the next page on.
    pub(crate) async fn set_scripts(&self, on: bool) {
        self.command("Emulation.setScriptExecutionDisabled", json!({"value": !on})).await;
    }

    /// Looks at the page at two widths, in light and dark: saves a screenshot of each, and checks that nothing is wider
    /// than the window.
    pub(crate) async fn look(&self, name: &str) {
        for (width, scheme) in [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")] {
            let size = json!({"width": width, "height": 1400, "deviceScaleFactor": 1, "mobile": false});
            self.command("Emulation.setDeviceMetricsOverride", size).await;
            let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
            self.command("Emulation.setEmulatedMedia", features).await;
            self.screenshot(&format!("{name}-{width}-{scheme}")).await;
            let wide = "[...document.querySelectorAll('body *')].filter(it => !it.closest('.hidden-text, .skip') && \
                        it.getBoundingClientRect().right > innerWidth + 1).map(it => it.outerHTML.slice(0, 80))";
            // What is wider than its own box is scrolled there.
            let fits = format!("document.documentElement.scrollWidth <= {width}");
            let wide = if self.evaluate(&fits).await == true { json!([]) } else { self.evaluate(wide).await };
            assert_eq!(wide, json!([]), "{name} is wider than {width} pixels");
        }
        self.command("Emulation.clearDeviceMetricsOverride", json!({})).await;
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

pub(crate) const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/pictures/small.jpg");
