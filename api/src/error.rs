//! The error type of the API: each error has a status, a stable code and a message for people.
//!
//! Handlers return it, and the router renders it as a problem document (RFC 9457).
//! `dropbox::plain_text_errors` turns the document into the bare message if the dropbox contract
//! requires it (`docs/contracts/dropbox.md`, 1.4). A server error is logged here, once, with its
//! cause. A client error is not logged.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use backends::BackendError;
use domain::{Reason, ReasonCode};
use queue::QueueError;
use records::RecordsError;
use serde::Serialize;
use storage::StoreError;
use utoipa::ToSchema;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The caller is not logged in, or the session has ended.
    #[error("{0}")]
    NotLoggedIn(&'static str),
    /// The session is valid, but the CSRF token is missing or invalid.
    #[error(
        "{why}; send the raw value of the cookie Csrf-Token_{fedmember} in the header X-Csrf-Token_{fedmember}, or with \
         hyphens for its underscores if a proxy drops those"
    )]
    Csrf {
        /// What is wrong with the token.
        why: &'static str,
        /// The federation member, which the names end with.
        fedmember: String,
    },
    /// The login failed. The error does not say whether the address or the password was wrong, because that would help
    /// an attacker.
    #[error("the address or the password is wrong")]
    WrongCredentials,
    /// The caller is logged in, but lacks the permission.
    #[error("{0}")]
    NotPermitted(String),
    /// The thing does not exist, or this caller may not see it.
    #[error("{0}")]
    NotFound(String),
    /// The request is invalid.
    #[error("{message}")]
    Malformed {
        /// Stable, for programs.
        code: &'static str,
        /// For people.
        message: String,
    },
    /// The body is larger than the limit.
    #[error("{what} is over the limit of {limit} bytes: at least {received} bytes were sent; send less")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit, in bytes.
        limit: u64,
        /// The bytes that were received or announced.
        received: u64,
    },
    /// The type of the file or of the body is not accepted.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// A worker rejected the upload.
    #[error("{}", .0.message)]
    Rejected(Reason),
    /// Processing failed and will not be tried again.
    #[error("{}", .0.message)]
    Failed(Reason),
    /// The picture is claimed for something else, or the change conflicts with an existing thing.
    #[error("{0}")]
    Conflict(String),
    /// Something else uses the thing, so that it cannot be deleted.
    #[error("{message}")]
    InUse {
        /// Stable, for programs.
        code: &'static str,
        /// For people.
        message: String,
    },
    /// A request with the same idempotency key is in progress.
    #[error("a request with this Idempotency-Key is in progress; repeat this request later")]
    InFlight {
        /// Seconds.
        retry_after: u64,
    },
    /// The idempotency key was used for a request with other content.
    #[error("this Idempotency-Key was used for a request with other content; use a new key for a new request")]
    IdempotencyKeyReused,
    /// The thing existed and has been removed.
    #[error("{0}")]
    Gone(String),
    /// The resource has changed: its ETag does not match `If-Match`.
    #[error(
        "the resource has changed or is being changed: its ETag does not match If-Match; fetch it again without If-Match"
    )]
    PreconditionFailed,
    /// The resource was modified after the time in `If-Unmodified-Since`.
    #[error("the resource was modified after the time in If-Unmodified-Since, or is being changed; fetch it again")]
    ModifiedSince,
    /// The path exists, but does not support the method. The text lists the methods that it supports.
    #[error("this path supports {0} only")]
    MethodNotAllowed(String),
    /// The body has a transfer coding that is not supported.
    #[error(
        "the Transfer-Encoding \"{0:.40}\" is not supported; send the body with \"chunked\" or with Content-Length"
    )]
    UnsupportedTransferCoding(String),
    /// The client sends too slowly.
    #[error("{0}")]
    RequestTimeout(String),
    /// A rate limit or a quota is exceeded. The client may try again after `retry_after` seconds.
    #[error("{message}")]
    TooManyRequests {
        /// Stable, for programs.
        code: &'static str,
        /// For people.
        message: String,
        /// Seconds.
        retry_after: u64,
    },
    /// The thing is still being processed.
    #[error("{0}; try again in a moment")]
    NotReady(&'static str),
    /// The server is overloaded.
    #[error("{0}; try again in a moment")]
    Overloaded(&'static str),
    /// One of the four backends failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// No upload can be accepted at the moment. This is found before any of the body is read. It is logged once for
    /// each outage, not here.
    #[error("{0}")]
    NotAccepting(BackendError),
    /// Another server error.
    #[error("{0}")]
    Internal(String),
}

impl ApiError {
    /// Creates a 400 error.
    pub(crate) fn malformed(code: &'static str, why: impl Into<String>) -> Self {
        Self::Malformed { code, message: why.into() }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotLoggedIn(_) | Self::Csrf { .. } | Self::WrongCredentials => StatusCode::UNAUTHORIZED,
            Self::NotPermitted(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Malformed { .. } => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Rejected(reason) => match reason.code {
                ReasonCode::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                ReasonCode::NotPermitted => StatusCode::FORBIDDEN,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            },
            Self::Conflict(_) | Self::InUse { .. } | Self::InFlight { .. } => StatusCode::CONFLICT,
            Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Gone(_) => StatusCode::GONE,
            Self::PreconditionFailed | Self::ModifiedSince => StatusCode::PRECONDITION_FAILED,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedTransferCoding(_) => StatusCode::NOT_IMPLEMENTED,
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
            Self::Csrf { .. } => "csrf",
            Self::WrongCredentials => "wrong_credentials",
            Self::NotPermitted(_) => "not_permitted",
            Self::NotFound(_) => "not_found",
            Self::Malformed { code, .. } | Self::InUse { code, .. } | Self::TooManyRequests { code, .. } => code,
            Self::TooLarge { .. } => "too_large",
            Self::UnsupportedMediaType(_) => "unsupported_type",
            Self::Rejected(reason) | Self::Failed(reason) => reason.code.as_str(),
            Self::Conflict(_) => "conflict",
            Self::InFlight { .. } => "in_flight",
            Self::IdempotencyKeyReused => "other_content",
            Self::Gone(_) => "gone",
            Self::PreconditionFailed | Self::ModifiedSince => "changed",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::UnsupportedTransferCoding(_) => "unsupported_transfer_coding",
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

    /// Returns the message for the client, as a sentence. The error texts of backends go to the log only.
    pub(crate) fn message(&self) -> String {
        as_sentence(match self {
            Self::Backend(_) | Self::NotAccepting(_) if self.code() == "no_room" => {
                "the storage of this service is full; try again later".to_owned()
            }
            Self::Backend(_) | Self::NotAccepting(_) if self.code() == "not_writable" => {
                "the database of this service takes no writes at the moment; try again later".to_owned()
            }
            Self::Backend(error) | Self::NotAccepting(error) if error.is_transient() => {
                "a backend of this service does not answer; try again later".to_owned()
            }
            Self::Backend(_) | Self::NotAccepting(_) | Self::Internal(_) => {
                "the server failed; its log has the cause".to_owned()
            }
            other => other.to_string(),
        })
    }

    /// Logs a server error. The code that renders the error calls this once.
    pub(crate) fn log(&self) {
        if matches!(self, Self::Backend(_) | Self::Internal(_)) {
            tracing::error!(status = self.status().as_u16(), code = self.code(), error = %self, "a request failed: {self}");
        }
    }
}

/// Makes a sentence of an error's text, which begins in lower case so that it can follow others in the log.
pub(crate) fn as_sentence(mut text: String) -> String {
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if !text.ends_with(['.', '?', '!']) {
        text.push('.');
    }
    text
}

impl From<RecordsError> for ApiError {
    fn from(error: RecordsError) -> Self {
        match error {
            // Another request with the same key is in progress.
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

/// A problem document (RFC 9457) with a stable `code`. If something was too large, it has the limit and the size.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`, because `code` identifies the problem
    #[serde(rename = "type")]
    kind: &'static str,
    /// The name of the status
    title: &'static str,
    /// The HTTP status
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Identifies the problem. It is stable, for programs
    #[schema(pattern = "^[a-z0-9_]+$")]
    code: String,
    /// What is wrong, the limit if there is one, and what to do. It is for people and may change
    detail: String,
    /// The limit, in bytes, if something was too large
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    limit: Option<u64>,
    /// The received or announced size, in bytes, if something was too large
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    received: Option<u64>,
}

impl From<&ApiError> for Problem {
    fn from(error: &ApiError) -> Self {
        let status = error.status();
        let (limit, received) = match error {
            ApiError::TooLarge { limit, received, .. } => (Some(*limit), Some(*received)),
            _ => (None, None),
        };
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code: error.code().to_owned(),
            detail: error.message(),
            limit,
            received,
        }
    }
}

/// The message of the error that a response was rendered from. The response has it as an extension, for layers that
/// render the error in another form.
#[derive(Clone, Debug)]
pub(crate) struct ErrorMessage(pub(crate) String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let problem = Problem::from(&self);
        let message = problem.detail.clone();
        let mut response = (self.status(), Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Self::MethodNotAllowed(allow) = self
            && let Ok(allow) = HeaderValue::try_from(allow)
        {
            headers.insert(header::ALLOW, allow);
        }
        response.extensions_mut().insert(ErrorMessage(message));
        response
    }
}
