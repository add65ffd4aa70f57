//! A user of the system: a bearer token that every api takes, and requests that may stay without an answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};

use crate::node::Node;
use crate::portal;

/// After this time a client stops waiting. Longer than any answer takes while nothing is broken.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a request with an idempotency key is sent at most, and the pause between two times.
const MAX_ATTEMPTS: usize = 10;
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
        Self { id: id.to_owned(), token: token.to_owned(), http: portal::http_client(), apis }
    }

    /// Sends a request to one of the apis, by its number. None if there was no whole answer: then what became of the
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

    /// Sends the same request, with an idempotency key and to one api after the other, until it is answered with what no
    /// further try would change. Without a key it is sent once.
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
                // Refused for now, or another try of the same request is still being answered.
                None => {}
                Some(answer) if matches!(answer.status, 408 | 409 | 429 | 503) => {}
                Some(_) => break,
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        last
    }
}
