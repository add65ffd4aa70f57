//! A portal as a client of Cloakroom: it keeps cookies as a browser does and sends the CSRF token with its writes.

use std::sync::OnceLock;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::process::{EMAIL, FEDMEMBER, PASSWORD, ServerProcess};

/// Reads a real picture from the folder of the tests (sources in `tests/pictures/README.md`).
pub fn read_picture(name: &str) -> Vec<u8> {
    let path = format!("{}/../../tests/pictures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn http_client() -> reqwest::Client {
    static TLS: OnceLock<()> = OnceLock::new();
    TLS.get_or_init(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::new()
}

/// A logged-in session.
#[derive(Clone)]
pub struct PortalClient {
    http: reqwest::Client,
    base: String,
    headers: HeaderMap,
}

impl PortalClient {
    pub async fn log_in(process: &ServerProcess) -> Self {
        let http = http_client();
        let answer = http
            .post(process.url("/api/login"))
            .json(&json!({ "email": EMAIL, "password": PASSWORD }))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let cookies: Vec<String> = answer
            .headers()
            .get_all("set-cookie")
            .iter()
            .map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned())
            .collect();
        let csrf = format!("Csrf-Token_{FEDMEMBER}=");
        let token = cookies.iter().find_map(|cookie| cookie.strip_prefix(&csrf)).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("cookie", HeaderValue::from_str(&cookies.join("; ")).unwrap());
        let name = HeaderName::try_from(format!("x-csrf-token_{FEDMEMBER}").to_lowercase()).unwrap();
        headers.insert(name, HeaderValue::from_str(token).unwrap());
        Self { http, base: process.url(""), headers }
    }

    /// A client that authenticates with a token instead of cookies.
    pub fn with_token(process: &ServerProcess, token: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
        Self { http: http_client(), base: process.url(""), headers }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).headers(self.headers.clone())
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// The response itself, also if it is a redirect.
    pub async fn get_without_redirect(&self, path: &str) -> Response {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let request = http.get(format!("{}{path}", self.base)).headers(self.headers.clone());
        request.send().await.unwrap()
    }

    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    /// Uploads a picture and waits for the outcome.
    pub async fn upload(&self, name: &str, bytes: Vec<u8>) -> Response {
        self.upload_preferring("wait=30", name, bytes).await
    }

    pub async fn upload_preferring(&self, prefer: &str, name: &str, bytes: Vec<u8>) -> Response {
        self.try_upload(prefer, name, bytes).await.unwrap()
    }

    pub async fn try_upload(&self, prefer: &str, name: &str, bytes: Vec<u8>) -> reqwest::Result<Response> {
        let part = Part::bytes(bytes).file_name(name.to_owned());
        let request = self.request(Method::POST, "/api/dropbox/pictures").header("prefer", prefer);
        request.multipart(Form::new().part("Profile", part)).send().await
    }

    pub async fn claim(&self, resource: &str, picture: &str) -> Response {
        self.request(Method::PUT, &format!("/api/{resource}"))
            .json(&json!({ "PictureID": picture }))
            .send()
            .await
            .unwrap()
    }
}
