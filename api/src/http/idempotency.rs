//! `Idempotency-Key`: a request that creates something takes effect once, however often it is sent. For 24 hours, the
//! same key with the same content gets the first response again. The same key with other content is refused. While the
//! first request is in progress, a repeated request is told to wait.
//!
//! A handler locks the key before the body is read ([`Idempotency::begin`]). When it has the
//! content, it asks whether the request is new ([`IdempotencyGuard::check`]). At the end it stores
//! the response ([`IdempotencyGuard::store_response`]). If the guard is dropped before that, it
//! releases the key, as if the key had never been sent. If the request had admitted an upload, the
//! key stays recorded with the upload, and a repeated request gets a response that is derived from
//! the upload. `idempotency_lock` keeps the key locked for as long as the request takes.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use domain::{IdempotencyKey, IdempotencyKeyLock, IdempotencyLockResult, Sha256Hasher, UploadId};
use jiff::Timestamp;
use records::Records;
use serde::{Deserialize, Serialize};

use crate::auth::signing_keys::SigningKeys;
use crate::error::ApiError;
use crate::http::idempotency_lock::{KeyLock, LOCK_DURATION};

/// The longest key, in characters.
const MAX_KEY_CHARS: usize = 255;
/// The longest response that is stored, in bytes.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// The idempotency handling of one request. Does nothing if the request has no key.
pub(crate) struct IdempotencyGuard(Option<IdempotencyRequest>);

/// A request that has an idempotency key.
struct IdempotencyRequest {
    signing_keys: SigningKeys,
    caller: String,
    key: String,
    target: String,
    key_state: IdempotencyKeyLookup,
    /// The key under which the response is stored. Set when the request is known to be new.
    idempotency_key: Option<IdempotencyKey>,
}

/// What was found for a key when its request began.
enum IdempotencyKeyLookup {
    /// The key was unknown. This request holds the lock now.
    Locked(IdempotencyKeyLock, KeyLock),
    /// A request with this key was answered.
    Completed { fingerprint: String, answer: String },
    /// A request with this key admitted this upload, but was not answered.
    Admitted { fingerprint: String, upload: UploadId },
}

/// Whether a request is new. Its key and its content decide that.
pub(crate) enum IdempotencyOutcome {
    /// The request is new. Its response is stored under the key, if it has one.
    New(Option<IdempotencyKey>),
    /// The request was answered before, with this response.
    Replay(Response),
    /// The request admitted this upload before, but was not answered.
    Admitted(UploadId),
}

/// A response in the form in which it is stored.
#[derive(Serialize, Deserialize)]
struct StoredResponse {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    /// The other format of the response, if it has one: its media type and its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    other_format: Option<OtherFormat>,
}

/// The body of a response in its other format. A response has it as an extension. It is stored with the response, so
/// that a repeated request gets the format that it asks for, not the format of the first request. The caller that knows
/// the formats selects one of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OtherFormat {
    pub(crate) media_type: String,
    pub(crate) body: String,
}

/// Locks idempotency keys.
pub(crate) struct Idempotency {
    records: Records,
    /// Stored responses are sealed with these keys, because responses can have secrets.
    signing_keys: SigningKeys,
}

impl Idempotency {
    pub(crate) fn new(records: Records, signing_keys: SigningKeys) -> Self {
        Self { records, signing_keys }
    }

    /// Locks the key of a request, if it has one. `caller` owns the key. `target` is the method and the path of
    /// the request.
    pub(crate) async fn begin(
        &self,
        headers: &HeaderMap,
        caller: &str,
        target: String,
    ) -> Result<IdempotencyGuard, ApiError> {
        let Some(key) = headers.get("idempotency-key") else { return Ok(IdempotencyGuard(None)) };
        let bad = || {
            let why = format!("an Idempotency-Key has 1 to {MAX_KEY_CHARS} printable ASCII characters");
            ApiError::malformed("bad_idempotency_key", why)
        };
        let key = key.to_str().map_err(|_| bad())?.trim().to_owned();
        if key.is_empty() || key.len() > MAX_KEY_CHARS {
            return Err(bad());
        }
        let records = &self.records;
        let key_state = match records.lock_idempotency_key(caller, &key, LOCK_DURATION).await? {
            IdempotencyLockResult::Acquired(lock) => {
                IdempotencyKeyLookup::Locked(lock.clone(), KeyLock::new(records.clone(), lock, LOCK_DURATION))
            }
            IdempotencyLockResult::Completed { fingerprint, response: answer } => {
                IdempotencyKeyLookup::Completed { fingerprint, answer }
            }
            IdempotencyLockResult::Admitted { fingerprint, upload } => {
                IdempotencyKeyLookup::Admitted { fingerprint, upload }
            }
            IdempotencyLockResult::InFlight { locked_at: since, locked_until: until } => {
                // The longer the other request has taken, the longer the wait, but at most until its lock ends.
                let now = records.clock().now();
                let seconds = |from: Timestamp, to: Timestamp| (to.duration_since(from).as_millis() + 999) / 1000;
                let wait = seconds(since, now).min(seconds(now, until)).max(1);
                return Err(ApiError::InFlight { retry_after: u64::try_from(wait).unwrap_or(1) });
            }
        };
        let caller = caller.to_owned();
        Ok(IdempotencyGuard(Some(IdempotencyRequest {
            signing_keys: self.signing_keys.clone(),
            caller,
            key,
            target,
            key_state,
            idempotency_key: None,
        })))
    }
}

impl IdempotencyGuard {
    /// Returns whether the request is new. `content` is everything that the request asks for, beside its target.
    pub(crate) async fn check(&mut self, content: &[&[u8]]) -> Result<IdempotencyOutcome, ApiError> {
        match &mut self.0 {
            Some(request) => request.check(content).await,
            None => Ok(IdempotencyOutcome::New(None)),
        }
    }

    /// Stores a successful response, and returns the response.
    pub(crate) async fn store_response(self, response: Response) -> Result<Response, ApiError> {
        match self.0 {
            Some(request) => request.store_response(response).await,
            None => Ok(response),
        }
    }
}

impl IdempotencyRequest {
    async fn check(&mut self, content: &[&[u8]]) -> Result<IdempotencyOutcome, ApiError> {
        let mut hasher = Sha256Hasher::new();
        for part in [self.target.as_bytes()].iter().chain(content) {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let request_fingerprint = hasher.finish();
        match &self.key_state {
            IdempotencyKeyLookup::Locked(lock, _) => {
                self.idempotency_key = Some(IdempotencyKey { lock: lock.clone(), fingerprint: request_fingerprint });
                Ok(IdempotencyOutcome::New(self.idempotency_key.clone()))
            }
            IdempotencyKeyLookup::Completed { fingerprint, .. }
            | IdempotencyKeyLookup::Admitted { fingerprint, .. }
                if *fingerprint != request_fingerprint =>
            {
                Err(ApiError::IdempotencyKeyReused)
            }
            IdempotencyKeyLookup::Admitted { upload, .. } => Ok(IdempotencyOutcome::Admitted(*upload)),
            IdempotencyKeyLookup::Completed { answer, .. } => {
                let text = self.signing_keys.open(&self.purpose(), answer).await.ok();
                let stored = text.and_then(|text| serde_json::from_str::<StoredResponse>(&text).ok());
                let lost = || ApiError::Internal("a stored response cannot be opened any more".to_owned());
                Ok(IdempotencyOutcome::Replay(replay(stored.ok_or_else(lost)?)))
            }
        }
    }

    async fn store_response(mut self, response: Response) -> Result<Response, ApiError> {
        let Some(idempotency_key) = self.idempotency_key.take().filter(|_| response.status().is_success()) else {
            return Ok(response);
        };
        let (head, body) = response.into_parts();
        let body = to_bytes(body, MAX_RESPONSE_BYTES).await.map_err(|error| ApiError::Internal(error.to_string()))?;
        let stored_names = [header::CONTENT_TYPE, header::LOCATION, header::CACHE_CONTROL, header::VARY];
        let headers = stored_names.iter().filter_map(|name| {
            let value = head.headers.get(name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        });
        let body_text = String::from_utf8_lossy(&body).into_owned();
        let (status, other_format) = (head.status.as_u16(), head.extensions.get::<OtherFormat>().cloned());
        let stored = StoredResponse { status, headers: headers.collect(), body: body_text, other_format };
        let text = serde_json::to_string(&stored).map_err(|error| ApiError::Internal(error.to_string()))?;
        let sealed = self.signing_keys.seal(&self.purpose(), &text);
        let sealed = sealed.ok_or_else(|| ApiError::Internal("there is no key to seal a response with".to_owned()))?;
        if let IdempotencyKeyLookup::Locked(_, lock) = self.key_state {
            lock.complete(idempotency_key, sealed).await;
        }
        Ok(Response::from_parts(head, Body::from(body)))
    }

    fn purpose(&self) -> String {
        format!("answer\0{}\0{}", self.caller, self.key)
    }
}

fn replay(stored: StoredResponse) -> Response {
    let mut response = Response::new(Body::from(stored.body));
    *response.status_mut() = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    for (name, value) in stored.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    if let Some(other_format) = stored.other_format {
        response.extensions_mut().insert(other_format);
    }
    response
}
