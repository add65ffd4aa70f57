//! The kinds of errors that the OpenAPI document tells apart. Each has a sentence, and a real error as its sample.

use domain::Reason;

use crate::error::ApiError;

/// What can go wrong in an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    Malformed,
    NotLoggedIn,
    Csrf,
    WrongCredentials,
    InvalidServiceKey,
    NotPermitted,
    NotFound,
    RequestTimeout,
    Conflict,
    InUse,
    InFlight,
    Gone,
    PreconditionFailed,
    TooLarge,
    UnsupportedMediaType,
    Rejected,
    IdempotencyKeyReused,
    TooManyRequests,
    Internal,
    Unavailable,
}

impl ErrorKind {
    /// Returns what the document says about the status.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Malformed => "The request is invalid. The message says what is wrong and what to send.",
            Self::NotLoggedIn => "Not logged in, or the session has ended.",
            Self::Csrf => "The CSRF token is missing or invalid.",
            Self::WrongCredentials => "The e-mail address or the password is wrong.",
            Self::InvalidServiceKey => "The service key is missing or invalid.",
            Self::NotPermitted => "The caller lacks the permission.",
            Self::NotFound => "Not found, or not visible to the caller.",
            Self::RequestTimeout => "The client sent the body too slowly.",
            Self::Conflict => "The request conflicts with what exists. The message says with what.",
            Self::InUse => "Something else uses it. The code and the message say what.",
            Self::InFlight => "A request with the same `Idempotency-Key` is in progress. Repeat the request later.",
            Self::Gone => "The picture expired before it was claimed, or it was deleted or removed.",
            Self::PreconditionFailed => "The ETag is not listed in `If-Match`.",
            Self::TooLarge => "Too large. The message names the limit and the received size, in bytes.",
            Self::UnsupportedMediaType => "The media type is not supported. The message says which types are.",
            Self::Rejected => "The picture was rejected, or a limit is reached. The message says why.",
            Self::IdempotencyKeyReused => "The `Idempotency-Key` was used for a request with other content.",
            Self::TooManyRequests => "Rate limit or quota exceeded. Retry after the time in `Retry-After`.",
            Self::Internal => "Server error. The server's log has the cause.",
            Self::Unavailable => {
                "Not ready yet, overloaded, or a backend is down. Retry after the time in `Retry-After`."
            }
        }
    }

    /// Returns an error of this kind.
    pub(super) fn sample(self) -> ApiError {
        match self {
            Self::Malformed => ApiError::malformed("bad_json", "the body is not valid JSON"),
            Self::NotLoggedIn => ApiError::NotLoggedIn("the session has expired; log in again"),
            Self::Csrf => ApiError::Csrf { why: "the CSRF token is missing", fedmember: "acme".to_owned() },
            Self::WrongCredentials => ApiError::WrongCredentials,
            Self::InvalidServiceKey => {
                ApiError::NotLoggedIn("the service key is not valid; use a key of realm.service.keys")
            }
            Self::NotPermitted => ApiError::NotPermitted("you may not act for groups/1.acme".to_owned()),
            Self::NotFound => ApiError::NotFound("there is no picture 1001".to_owned()),
            Self::RequestTimeout => ApiError::RequestTimeout("the body paused for more than 15 s".to_owned()),
            Self::Conflict => ApiError::Conflict("picture 1001 has been claimed already".to_owned()),
            Self::InUse => ApiError::InUse {
                code: "claimed",
                message:
                    "picture 1001 is claimed for users/jane.acme; remove that avatar, or claim another picture in \
                          its place"
                        .to_owned(),
            },
            Self::InFlight => ApiError::InFlight { retry_after: 1 },
            Self::Gone => ApiError::Gone("picture 1001 was not claimed in time".to_owned()),
            Self::PreconditionFailed => ApiError::PreconditionFailed,
            Self::TooLarge => ApiError::TooLarge { what: "the body", limit: 65_536, received: 65_537 },
            Self::UnsupportedMediaType => {
                ApiError::UnsupportedMediaType("the body must be sent as application/json".to_owned())
            }
            Self::Rejected => ApiError::Rejected(Reason::new("broken_picture", "the picture is damaged")),
            Self::IdempotencyKeyReused => ApiError::IdempotencyKeyReused,
            Self::TooManyRequests => ApiError::TooManyRequests {
                code: "too_many_requests",
                message: "600 requests a minute are the limit for one user; try again in 7 seconds".to_owned(),
                retry_after: 7,
            },
            Self::Internal => ApiError::Internal(String::new()),
            Self::Unavailable => ApiError::NotReady("the picture is still being processed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use backends::BackendError;
    use records::RecordsError;

    use super::*;

    const KINDS: [ErrorKind; 20] = [
        ErrorKind::Malformed,
        ErrorKind::NotLoggedIn,
        ErrorKind::Csrf,
        ErrorKind::WrongCredentials,
        ErrorKind::InvalidServiceKey,
        ErrorKind::NotPermitted,
        ErrorKind::NotFound,
        ErrorKind::RequestTimeout,
        ErrorKind::Conflict,
        ErrorKind::InUse,
        ErrorKind::InFlight,
        ErrorKind::Gone,
        ErrorKind::PreconditionFailed,
        ErrorKind::TooLarge,
        ErrorKind::UnsupportedMediaType,
        ErrorKind::Rejected,
        ErrorKind::IdempotencyKeyReused,
        ErrorKind::TooManyRequests,
        ErrorKind::Internal,
        ErrorKind::Unavailable,
    ];

    /// The kinds that describe an error. A new variant of the error does not compile until it has one.
    fn kinds_of(error: &ApiError) -> &'static [ErrorKind] {
        match error {
            ApiError::NotLoggedIn(_) => &[ErrorKind::NotLoggedIn, ErrorKind::InvalidServiceKey],
            ApiError::Csrf { .. } => &[ErrorKind::Csrf],
            ApiError::WrongCredentials => &[ErrorKind::WrongCredentials],
            ApiError::NotPermitted(_) => &[ErrorKind::NotPermitted],
            ApiError::NotFound(_) => &[ErrorKind::NotFound],
            ApiError::Malformed { .. } => &[ErrorKind::Malformed],
            ApiError::TooLarge { .. } => &[ErrorKind::TooLarge],
            ApiError::UnsupportedMediaType(_) => &[ErrorKind::UnsupportedMediaType],
            ApiError::Rejected(_) => &[ErrorKind::Rejected],
            ApiError::Conflict(_) => &[ErrorKind::Conflict],
            ApiError::InUse { .. } => &[ErrorKind::InUse],
            ApiError::InFlight { .. } => &[ErrorKind::InFlight],
            ApiError::IdempotencyKeyReused => &[ErrorKind::IdempotencyKeyReused],
            ApiError::Gone(_) => &[ErrorKind::Gone],
            ApiError::PreconditionFailed | ApiError::ModifiedSince => &[ErrorKind::PreconditionFailed],
            // The document describes the methods that a path has.
            ApiError::MethodNotAllowed(_) => &[],
            // It is refused before an operation is found.
            ApiError::UnsupportedTransferCoding(_) => &[],
            ApiError::RequestTimeout(_) => &[ErrorKind::RequestTimeout],
            ApiError::TooManyRequests { .. } => &[ErrorKind::TooManyRequests],
            ApiError::NotReady(_) | ApiError::Overloaded(_) | ApiError::NotAccepting(_) => &[ErrorKind::Unavailable],
            ApiError::Backend(error) if error.is_transient() => &[ErrorKind::Unavailable],
            ApiError::Backend(_) | ApiError::Failed(_) | ApiError::Internal(_) => &[ErrorKind::Internal],
        }
    }

    #[test]
    fn each_kind_describes_its_errors() {
        for kind in KINDS {
            assert!(kinds_of(&kind.sample()).contains(&kind), "{kind:?}");
        }
        for (error, kind) in [
            (ApiError::Failed(Reason::new("gave_up", "all attempts failed")), ErrorKind::Internal),
            (ApiError::Overloaded("too many uploads are in progress"), ErrorKind::Unavailable),
            (ApiError::NotAccepting(BackendError::Records(RecordsError::Full)), ErrorKind::Unavailable),
            (ApiError::Backend(BackendError::Records(RecordsError::Full)), ErrorKind::Unavailable),
        ] {
            assert!(kinds_of(&error).contains(&kind), "{error:?}");
            assert_eq!(error.status(), kind.sample().status(), "{error:?}");
            assert_eq!(error.retry_after().is_some(), kind.sample().retry_after().is_some(), "{error:?}");
        }
    }
}
