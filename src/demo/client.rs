//! An HTTP client that acts like a portal: logs in, keeps its cookies, and sends the CSRF token with every write.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use reqwest::header::{COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Response};
use serde_json::{Value, json};

/// A session with a Cloakroom server.
pub(super) struct DemoClient {
    http: reqwest::Client,
    base: String,
    headers: HeaderMap,
}

impl DemoClient {
    /// Logs in (`POST /api/login`).
    pub(super) async fn log_in(at: SocketAddr, fedmember: &str, email: &str, password: &str) -> anyhow::Result<Self> {
        let (http, base) = (reqwest::Client::new(), format!("http://{at}"));
        let request = http.post(format!("{base}/api/login")).json(&json!({ "email": email, "password": password }));
        let response = expect_success(request.send().await?).await?;
        let cookies: Vec<&str> = response
            .headers()
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
            .collect();
        let csrf = format!("Csrf-Token_{fedmember}=");
        let token =
            cookies.iter().find_map(|cookie| cookie.strip_prefix(&csrf)).context("the login set no CSRF cookie")?;
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(&cookies.join("; "))?);
        let name = HeaderName::try_from(format!("X-Csrf-Token_{fedmember}").to_lowercase())?;
        headers.insert(name, HeaderValue::from_str(token)?);
        Ok(Self { http, base, headers })
    }

    /// Uploads a picture and returns the number of the upload.
    pub(super) async fn upload(&self, name: &str, bytes: &'static [u8]) -> anyhow::Result<String> {
        let part = Part::bytes(bytes).file_name(name.to_owned()).mime_str("image/jpeg")?;
        let request = self.request(Method::POST, "/api/dropbox/pictures").header("prefer", "wait=30");
        Ok(expect_success(request.multipart(Form::new().part("Profile", part)).send().await?).await?.text().await?)
    }

    /// Gets a file, and returns its media type and bytes.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<(String, Vec<u8>)> {
        let response = expect_success(self.request(Method::GET, path).send().await?).await?;
        let media_type =
            response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("?").to_owned();
        Ok((media_type, response.bytes().await?.to_vec()))
    }

    /// Gets a JSON document.
    pub(super) async fn json(&self, path: &str) -> anyhow::Result<Value> {
        Ok(expect_success(self.request(Method::GET, path).send().await?).await?.json().await?)
    }

    /// Sends a JSON document with `PUT`.
    pub(super) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        expect_success(self.request(Method::PUT, path).json(body).send().await?).await.map(drop)
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).headers(self.headers.clone())
    }
}

/// Returns the response if its status is a success.
async fn expect_success(response: Response) -> anyhow::Result<Response> {
    if response.status().is_success() {
        return Ok(response);
    }
    let (status, url) = (response.status(), response.url().clone());
    bail!("{url} answered {status}: {}", response.text().await.unwrap_or_default())
}
