//! `Idempotency-LoadedKey`: a request that creates something is done once, however often it is sent. The same key with the same
//! content gets the first answer again for a day, with other content a refusal, and while the first is being done, a word
//! to wait.
//!
//! Whoever handles such a request holds its key ([`AppState::begin_idempotent`]) before the body is read, asks what is known of it
//! ([`IdempotencyGuard::check`]) when the content is, and has the answer remembered ([`IdempotencyGuard::store_response`]). Dropped before that, the key
//! is let go of; one whose request admitted an upload stays, since the answer can be told from that. `key_lock` keeps the
//! key for as long as the request takes.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upload::{IdempotencyKey, IdempotencyKeyLock, IdempotencyLockResult, Sha256Hasher, UploadId};

use crate::error::ApiError;
use crate::idempotency_lock::{KeyLock, LOCK_DURATION};
use crate::state::AppState;

/// The longest key, in characters.
const MAX_KEY_CHARS: usize = 255;
/// No answer that is remembered is longer.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// A request that is to be done once, where it has a key.
pub(crate) struct IdempotencyGuard(Option<IdempotencyRequest>);

/// A request with a key.
struct IdempotencyRequest {
    state: AppState,
    client_key: String,
    key: String,
    target: String,
    key_state: IdempotencyKeyLookup,
    /// What its answer is noted under, once it is known to be new.
    idempotency_key: Option<IdempotencyKey>,
}

/// What was found of a key when its request began.
enum IdempotencyKeyLookup {
    /// Nothing. The request holds it now.
    Locked(IdempotencyKeyLock, KeyLock),
    /// A request with it was answered.
    Completed { fingerprint: String, answer: String },
    /// A request with it admitted this upload, and was not answered.
    Admitted { fingerprint: String, upload: UploadId },
}

/// What is known of a request, now that its content is known.
pub(crate) enum IdempotencyOutcome {
    /// It is to be done, and noted under the key that it has.
    New(Option<IdempotencyKey>),
    /// It was answered so.
    Replay(Response),
    /// It admitted this upload, and was not answered.
    Admitted(UploadId),
}

/// An answer as it is remembered.
#[derive(Serialize, Deserialize)]
struct StoredResponse {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl AppState {
    /// Holds the key of a request, where it has one. `client_key` is whose key it is, `target` what it is sent to.
    pub(crate) async fn begin_idempotent(
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
        let records = &self.backends.records;
        let key_state = match records.lock_idempotency_key(caller, &key, LOCK_DURATION).await? {
            IdempotencyLockResult::Acquired(held) => {
                IdempotencyKeyLookup::Locked(held.clone(), KeyLock::new(records.clone(), held, LOCK_DURATION))
            }
            IdempotencyLockResult::Completed { fingerprint, response: answer } => {
                IdempotencyKeyLookup::Completed { fingerprint, answer }
            }
            IdempotencyLockResult::Admitted { fingerprint, upload } => {
                IdempotencyKeyLookup::Admitted { fingerprint, upload }
            }
            IdempotencyLockResult::InFlight { locked_at: since, locked_until: until } => {
                // The longer the other request takes, the later it is worth asking again; when its hold ends, at the latest.
                let now = records.clock().now();
                let seconds = |from: Timestamp, to: Timestamp| (to.duration_since(from).as_millis() + 999) / 1000;
                let wait = seconds(since, now).min(seconds(now, until)).max(1);
                return Err(ApiError::InFlight { retry_after: u64::try_from(wait).unwrap_or(1) });
            }
        };
        let caller = caller.to_owned();
        Ok(IdempotencyGuard(Some(IdempotencyRequest {
            state: self.clone(),
            client_key: caller,
            key,
            target,
            key_state,
            idempotency_key: None,
        })))
    }
}

impl IdempotencyGuard {
    /// What is known of the request, by all that it asks for.
    pub(crate) async fn check(&mut self, content: &[&[u8]]) -> Result<IdempotencyOutcome, ApiError> {
        match &mut self.0 {
            Some(request) => request.check(content).await,
            None => Ok(IdempotencyOutcome::New(None)),
        }
    }

    /// Remembers an answer, if it is one that tells of something done, and gives it back.
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
            IdempotencyKeyLookup::Locked(hold, _) => {
                self.idempotency_key = Some(IdempotencyKey { lock: hold.clone(), fingerprint: request_fingerprint });
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
                let text = self.state.signing_keys.open(&self.purpose(), answer).await.ok();
                let remembered = text.and_then(|text| serde_json::from_str::<StoredResponse>(&text).ok());
                let lost = || ApiError::Internal("a remembered answer cannot be read any more".to_owned());
                Ok(IdempotencyOutcome::Replay(replay(remembered.ok_or_else(lost)?)))
            }
        }
    }

    async fn store_response(mut self, response: Response) -> Result<Response, ApiError> {
        let Some(idempotency_key) = self.idempotency_key.take().filter(|_| response.status().is_success()) else {
            return Ok(response);
        };
        let (head, body) = response.into_parts();
        let body = to_bytes(body, MAX_RESPONSE_BYTES).await.map_err(|error| ApiError::Internal(error.to_string()))?;
        let kept = [header::CONTENT_TYPE, header::LOCATION, header::CACHE_CONTROL, header::VARY];
        let headers = kept.iter().filter_map(|name| {
            let value = head.headers.get(name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        });
        let body_text = String::from_utf8_lossy(&body).into_owned();
        let stored = StoredResponse { status: head.status.as_u16(), headers: headers.collect(), body: body_text };
        let text = serde_json::to_string(&stored).map_err(|error| ApiError::Internal(error.to_string()))?;
        let sealed = self.state.signing_keys.seal(&self.purpose(), &text);
        let sealed = sealed.ok_or_else(|| ApiError::Internal("there is no key to seal an answer with".to_owned()))?;
        if let IdempotencyKeyLookup::Locked(_, lock) = self.key_state {
            lock.complete(idempotency_key, sealed).await;
        }
        Ok(Response::from_parts(head, Body::from(body)))
    }

    fn purpose(&self) -> String {
        format!("answer\0{}\0{}", self.client_key, self.key)
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
    response
}
