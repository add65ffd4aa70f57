//! `Idempotency-Key`: a request that creates something is done once, however often it is sent. The same key with the same
//! content gets the first answer again for a day, with other content a refusal, and while the first is being done, a word
//! to wait.
//!
//! Whoever handles such a request holds its key ([`Desk::once`]) before the body is read, asks what is known of it
//! ([`Once::known`]) when the content is, and has the answer remembered ([`Once::answered`]). Dropped before that, the key
//! is let go of; one whose request admitted an upload stays, since the answer can be told from that. `key_lock` keeps the
//! key for as long as the request takes.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upload::{Hasher, Held, KeyHold, OnceKey, UploadId};

use crate::desk::Desk;
use crate::key_lock::{HOLD, KeyLock};
use crate::problem::ApiError;

/// The longest key, in characters.
const LONGEST: usize = 255;
/// No answer that is remembered is longer.
const ANSWER: usize = 1 << 20;

/// A request that is to be done once, where it has a key.
pub(crate) struct Once(Option<Keyed>);

/// A request with a key.
struct Keyed {
    desk: Desk,
    caller: String,
    key: String,
    target: String,
    found: Found,
    /// What its answer is noted under, once it is known to be new.
    noted: Option<OnceKey>,
}

/// What was found of a key when its request began.
enum Found {
    /// Nothing. The request holds it now.
    Nothing(KeyHold, KeyLock),
    /// A request with it was answered.
    Answered { fingerprint: String, answer: String },
    /// A request with it admitted this upload, and was not answered.
    Admitted { fingerprint: String, upload: UploadId },
}

/// What is known of a request, now that its content is known.
pub(crate) enum Known {
    /// It is to be done, and noted under the key that it has.
    New(Option<OnceKey>),
    /// It was answered so.
    Answer(Response),
    /// It admitted this upload, and was not answered.
    Admitted(UploadId),
}

/// An answer as it is remembered.
#[derive(Serialize, Deserialize)]
struct Remembered {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Desk {
    /// Holds the key of a request, where it has one. `caller` is whose key it is, `target` what it is sent to.
    pub(crate) async fn once(&self, headers: &HeaderMap, caller: &str, target: String) -> Result<Once, ApiError> {
        let Some(key) = headers.get("idempotency-key") else { return Ok(Once(None)) };
        let bad = || {
            let why = format!("an Idempotency-Key has 1 to {LONGEST} printable ASCII characters");
            ApiError::malformed("bad_idempotency_key", why)
        };
        let key = key.to_str().map_err(|_| bad())?.trim().to_owned();
        if key.is_empty() || key.len() > LONGEST {
            return Err(bad());
        }
        let records = &self.places.records;
        let found = match records.hold_key(caller, &key, HOLD).await? {
            Held::Fresh(held) => Found::Nothing(held.clone(), KeyLock::new(records.clone(), held, HOLD)),
            Held::Answered { fingerprint, answer } => Found::Answered { fingerprint, answer },
            Held::Admitted { fingerprint, upload } => Found::Admitted { fingerprint, upload },
            Held::InFlight { since, until } => {
                // The longer the other request takes, the later it is worth asking again; when its hold ends, at the latest.
                let now = records.clock().now();
                let seconds = |from: Timestamp, to: Timestamp| (to.duration_since(from).as_millis() + 999) / 1000;
                let wait = seconds(since, now).min(seconds(now, until)).max(1);
                return Err(ApiError::InFlight { retry_after: u64::try_from(wait).unwrap_or(1) });
            }
        };
        let caller = caller.to_owned();
        Ok(Once(Some(Keyed { desk: self.clone(), caller, key, target, found, noted: None })))
    }
}

impl Once {
    /// What is known of the request, by all that it asks for.
    pub(crate) async fn known(&mut self, content: &[&[u8]]) -> Result<Known, ApiError> {
        match &mut self.0 {
            Some(keyed) => keyed.known(content).await,
            None => Ok(Known::New(None)),
        }
    }

    /// Remembers an answer, if it is one that tells of something done, and gives it back.
    pub(crate) async fn answered(self, response: Response) -> Result<Response, ApiError> {
        match self.0 {
            Some(keyed) => keyed.answered(response).await,
            None => Ok(response),
        }
    }
}

impl Keyed {
    async fn known(&mut self, content: &[&[u8]]) -> Result<Known, ApiError> {
        let mut hasher = Hasher::new();
        for part in [self.target.as_bytes()].iter().chain(content) {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let ours = hasher.finish();
        match &self.found {
            Found::Nothing(hold, _) => {
                self.noted = Some(OnceKey { hold: hold.clone(), fingerprint: ours });
                Ok(Known::New(self.noted.clone()))
            }
            Found::Answered { fingerprint, .. } | Found::Admitted { fingerprint, .. } if *fingerprint != ours => {
                Err(ApiError::OtherContent)
            }
            Found::Admitted { upload, .. } => Ok(Known::Admitted(*upload)),
            Found::Answered { answer, .. } => {
                let text = self.desk.keys.reveal(&self.purpose(), answer).await.ok();
                let remembered = text.and_then(|text| serde_json::from_str::<Remembered>(&text).ok());
                let lost = || ApiError::Ours("a remembered answer cannot be read any more".to_owned());
                Ok(Known::Answer(again(remembered.ok_or_else(lost)?)))
            }
        }
    }

    async fn answered(mut self, response: Response) -> Result<Response, ApiError> {
        let Some(noted) = self.noted.take().filter(|_| response.status().is_success()) else { return Ok(response) };
        let (head, body) = response.into_parts();
        let body = to_bytes(body, ANSWER).await.map_err(|error| ApiError::Ours(error.to_string()))?;
        let kept = [header::CONTENT_TYPE, header::LOCATION, header::CACHE_CONTROL, header::VARY];
        let headers = kept.iter().filter_map(|name| {
            let value = head.headers.get(name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        });
        let body_text = String::from_utf8_lossy(&body).into_owned();
        let remembered = Remembered { status: head.status.as_u16(), headers: headers.collect(), body: body_text };
        let text = serde_json::to_string(&remembered).map_err(|error| ApiError::Ours(error.to_string()))?;
        let sealed = self.desk.keys.conceal(&self.purpose(), &text);
        let sealed = sealed.ok_or_else(|| ApiError::Ours("there is no key to seal an answer with".to_owned()))?;
        if let Found::Nothing(_, lock) = self.found {
            lock.answered(noted, sealed).await;
        }
        Ok(Response::from_parts(head, Body::from(body)))
    }

    fn purpose(&self) -> String {
        format!("answer\0{}\0{}", self.caller, self.key)
    }
}

fn again(remembered: Remembered) -> Response {
    let mut response = Response::new(Body::from(remembered.body));
    *response.status_mut() = StatusCode::from_u16(remembered.status).unwrap_or(StatusCode::OK);
    for (name, value) in remembered.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
