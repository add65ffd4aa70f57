//! Saying no: one error for the whole api, with a status, a stable code and a sentence for a person.
//!
//! Handlers return it; the router renders it as a problem document (RFC 9457), and [`as_plain_text`] turns that into the bare
//! message where the contract wants it so. An error that is ours is logged here, once, with its cause; one that is the
//! client's is an answer and nothing more.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use upload::{BackendError, QueueError, Reason, RecordsError, StoreError};
use utoipa::ToSchema;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// Nobody is logged in, or not any more.
    #[error("{0}; log in again")]
    NotLoggedIn(&'static str),
    /// The session is good, the token that guards against forged requests is not.
    #[error("{0}; send the value of the Csrf-Token cookie, as it stands there, in the X-Csrf-Token header")]
    Csrf(&'static str),
    /// Which of the two was wrong is nobody's business.
    #[error("the address or the password is wrong")]
    WrongCredentials,
    /// Logged in, and not allowed to.
    #[error("{0}")]
    NotPermitted(String),
    /// There is no such thing, for this caller.
    #[error("{0}")]
    NotFound(String),
    /// The request makes no sense as it is.
    #[error("{message}")]
    Malformed {
        /// Stable, for programs.
        code: &'static str,
        /// For a person.
        message: String,
    },
    /// More bytes than are taken.
    #[error("{what} is over the limit of {limit} bytes: at least {received} bytes were sent; send less")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// What is taken, in bytes.
        limit: u64,
        /// What came or was announced, in bytes.
        received: u64,
    },
    /// A kind of file or body that is not taken.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// A worker looked at it and said no.
    #[error("{}", .0.why)]
    Rejected(Reason),
    /// We gave up on it.
    #[error("{}", .0.why)]
    Failed(Reason),
    /// It has been given to somebody else.
    #[error("{0}")]
    Conflict(String),
    /// The same request is being done.
    #[error("a request with this Idempotency-Key is being answered; wait for that")]
    InFlight {
        /// Seconds.
        retry_after: u64,
    },
    /// The key belongs to another request.
    #[error("this Idempotency-Key was used for a request with other content; use a new key for a new request")]
    IdempotencyKeyReused,
    /// It was there and is not any more.
    #[error("{0}")]
    Gone(String),
    /// What the client has is not what is there now.
    #[error("this has changed: its tag is none of those in If-Match; get all of it anew, without that header")]
    PreconditionFailed,
    /// The address is right, the method is not.
    #[error("this address answers {0} only")]
    MethodNotAllowed(&'static str),
    /// The client sends too slowly.
    #[error("{0}")]
    RequestTimeout(String),
    /// The caller has had their share.
    #[error("{message}")]
    TooManyRequests {
        /// Stable, for programs.
        code: &'static str,
        /// For a person.
        message: String,
        /// Seconds.
        retry_after: u64,
    },
    /// It is coming, and not here yet.
    #[error("{0}; ask again in a moment")]
    NotReady(&'static str),
    /// We have our hands full.
    #[error("{0}; try again in a moment")]
    Overloaded(&'static str),
    /// One of the four places did not do its part.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// No upload can be taken at the moment, found before any of it was read. Logged once for each outage, not here.
    #[error("{0}")]
    NotAccepting(BackendError),
    /// Something else of ours broke.
    #[error("{0}")]
    Internal(String),
}

impl ApiError {
    /// A 400.
    pub(crate) fn malformed(code: &'static str, why: impl Into<String>) -> Self {
        Self::Malformed { code, message: why.into() }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotLoggedIn(_) | Self::Csrf(_) | Self::WrongCredentials => StatusCode::UNAUTHORIZED,
            Self::NotPermitted(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Malformed { .. } => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Rejected(reason) => match reason.code.as_str() {
                "unsupported_type" => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_permitted" => StatusCode::FORBIDDEN,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            },
            Self::Conflict(_) | Self::InFlight { .. } => StatusCode::CONFLICT,
            Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Gone(_) => StatusCode::GONE,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout(_) => StatusCode::REQUEST_TIMEOUT,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NotReady(_) | Self::Overloaded(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotAccepting(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Backend(error) if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) | Self::Backend(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(crate) fn code(&self) -> &str {
        match self {
            Self::NotLoggedIn(_) => "not_logged_in",
            Self::Csrf(_) => "csrf",
            Self::WrongCredentials => "wrong_credentials",
            Self::NotPermitted(_) => "not_permitted",
            Self::NotFound(_) => "not_found",
            Self::Malformed { code, .. } | Self::TooManyRequests { code, .. } => code,
            Self::TooLarge { .. } => "too_large",
            Self::UnsupportedMediaType(_) => "unsupported_type",
            Self::Rejected(reason) | Self::Failed(reason) => &reason.code,
            Self::Conflict(_) => "conflict",
            Self::InFlight { .. } => "in_flight",
            Self::IdempotencyKeyReused => "other_content",
            Self::Gone(_) => "gone",
            Self::PreconditionFailed => "changed",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::RequestTimeout(_) => "too_slow",
            Self::NotReady(_) => "not_yet",
            Self::Overloaded(_) => "busy",
            Self::Backend(error) | Self::NotAccepting(error) => match error {
                BackendError::Store(StoreError::Full { .. })
                | BackendError::Records(RecordsError::Full)
                | BackendError::LowSpace(_) => "no_room",
                BackendError::Records(RecordsError::NotWritable(_)) => "not_writable",
                _ => "place_down",
            },
            Self::Internal(_) => "internal",
        }
    }

    pub(crate) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyRequests { retry_after, .. } | Self::InFlight { retry_after } => Some(*retry_after),
            Self::NotReady(_) | Self::Overloaded(_) => Some(1),
            Self::NotAccepting(_) => Some(5),
            Self::Backend(error) if error.is_transient() => Some(5),
            _ => None,
        }
    }

    /// The sentence that goes out: an engine's own words stay in the log.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Backend(_) | Self::NotAccepting(_) if self.code() == "no_room" => {
                "there is no room for more pictures at the moment; try again later".to_owned()
            }
            Self::Backend(_) | Self::NotAccepting(_) if self.code() == "not_writable" => {
                "the database of this service takes no writes at the moment; try again later".to_owned()
            }
            Self::Backend(error) | Self::NotAccepting(error) if error.is_transient() => {
                "a part of this service does not answer at the moment; try again later".to_owned()
            }
            Self::Backend(_) | Self::NotAccepting(_) | Self::Internal(_) => {
                "something broke on our side; the operator's log says what".to_owned()
            }
            other => other.to_string(),
        }
    }

    /// Logs what is ours to mend; whoever renders it does, once.
    pub(crate) fn log(&self) {
        if matches!(self, Self::Backend(_) | Self::Internal(_)) {
            tracing::error!(status = self.status().as_u16(), code = self.code(), error = %self, "a request failed: {self}");
        }
    }
}

impl From<RecordsError> for ApiError {
    fn from(error: RecordsError) -> Self {
        match error {
            // Another request with the same key is being done.
            RecordsError::KeyLost => Self::InFlight { retry_after: 1 },
            other => Self::Backend(other.into()),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Backend(error.into())
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        Self::Backend(error.into())
    }
}

/// A problem document, RFC 9457, with a stable `code` and, where it was a matter of numbers, the numbers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem {
    /// about:blank: the code says what it is
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words
    title: &'static str,
    /// The status
    status: u16,
    /// Stable, for programs
    code: String,
    /// For a person: what was wrong, what the limit is, what to do
    detail: String,
    /// In bytes, where something was too large
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// In bytes, where something was too large
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<u64>,
}

/// Travels with a rendered error, for whoever renders it differently.
#[derive(Clone, Debug)]
pub(crate) struct ErrorMessage(pub(crate) String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, message) = (self.status(), self.message());
        self.log();
        let (limit, received) = match &self {
            Self::TooLarge { limit, received, .. } => (Some(*limit), Some(*received)),
            _ => (None, None),
        };
        let problem = Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code: self.code().to_owned(),
            detail: message.clone(),
            limit,
            received,
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Self::MethodNotAllowed(allow) = self {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response.extensions_mut().insert(ErrorMessage(message));
        response
    }
}

/// Renders an error as its bare message: what the dropbox contract's clients show to people.
pub(crate) async fn as_plain_text(mut response: Response) -> Response {
    if let Some(ErrorMessage(message)) = response.extensions().get::<ErrorMessage>().cloned() {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(message);
    }
    response
}
