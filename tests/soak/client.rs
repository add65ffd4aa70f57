//! A user of the system: a bearer token that every api accepts, and requests that may stay without a response.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};

use crate::node::Node;

/// How long a client waits for a response. While there is no fault, every response takes less time.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The maximum number of times that a request with an idempotency key is sent.
const MAX_ATTEMPTS: usize = 10;
/// The pause between two attempts of a request with an idempotency key.
const RETRY_PAUSE: Duration = Duration::from_millis(700);

pub struct SoakResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl SoakResponse {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(300).collect()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The number of the upload in `Location`.
    pub fn upload_id(&self) -> Option<i64> {
        self.headers.get("location")?.to_str().ok()?.rsplit('/').next()?.parse().ok()
    }
}

pub struct SoakUser {
    pub id: String,
    token: String,
    http: reqwest::Client,
    apis: Vec<Arc<Node>>,
}

impl SoakUser {
    pub fn new(id: &str, token: &str, nodes: &[Arc<Node>]) -> Self {
        let apis = nodes.iter().filter(|node| node.has_api()).cloned().collect();
        Self { id: id.to_owned(), token: token.to_owned(), http: test_support::portal::http_client(), apis }
    }

    /// Sends a request to the api with this number. None if there was no complete response; then the result of the
    /// request is unknown.
    pub async fn send(
        &self,
        api: usize,
        method: Method,
        path: &str,
        build: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Option<SoakResponse> {
        let address = self.apis[api % self.apis.len()].address()?;
        let request = self.http.request(method, format!("http://{address}{path}"));
        let response = build(request.bearer_auth(&self.token).timeout(REQUEST_TIMEOUT)).send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(SoakResponse { status, headers, body: response.bytes().await.ok()? })
    }

    pub async fn get(&self, api: usize, path: &str) -> Option<SoakResponse> {
        self.send(api, Method::GET, path, |request| request).await
    }

    /// Sends a request with an idempotency key to one api after another, until the response is final. Without a key the
    /// request is sent once.
    pub async fn send_until_answered(
        &self,
        api: usize,
        key: Option<&str>,
        path: &str,
        build: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Option<SoakResponse> {
        let Some(key) = key else { return self.send(api, Method::POST, path, build).await };
        let mut last = None;
        for attempt in 0..MAX_ATTEMPTS {
            last = self
                .send(api + attempt, Method::POST, path, |request| build(request).header("idempotency-key", key))
                .await;
            match &last {
                None => {}
                // The request was refused for now, or an earlier attempt of the request is still in flight.
                Some(answer) if matches!(answer.status, 408 | 409 | 429 | 503) => {}
                Some(_) => break,
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        last
    }
}
