//! The error responses of operations in the OpenAPI document. Each kind of error is described once, by a real error
//! from which its status, its headers and its example follow. An operation names groups of kinds, in one of the three
//! forms of error bodies: [`Problems`], [`TextErrors`], or the form of the documents API.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use axum::http::StatusCode;
use domain::Reason;
use serde_json::Value;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{ContentBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema, Type};
use utoipa::{IntoResponses, PartialSchema};

use crate::error::{ApiError, Problem};

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
    fn description(self) -> &'static str {
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
            Self::InFlight => "A request with the same `Idempotency-Key` is in progress. Repeat the request later.",
            Self::Gone => "The picture expired before it was claimed.",
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
    fn sample(self) -> ApiError {
        match self {
            Self::Malformed => ApiError::malformed("bad_json", "the body is not valid JSON"),
            Self::NotLoggedIn => ApiError::NotLoggedIn("the session has expired; log in again"),
            Self::Csrf => ApiError::Csrf("the CSRF token is missing"),
            Self::WrongCredentials => ApiError::WrongCredentials,
            Self::InvalidServiceKey => {
                ApiError::NotLoggedIn("the service key is not valid; use a key of realm.service.keys")
            }
            Self::NotPermitted => ApiError::NotPermitted("you may not act for groups/1.acme".to_owned()),
            Self::NotFound => ApiError::NotFound("there is no picture 1001".to_owned()),
            Self::RequestTimeout => ApiError::RequestTimeout("the body paused for more than 15 s".to_owned()),
            Self::Conflict => ApiError::Conflict("picture 1001 has been claimed already".to_owned()),
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

/// Kinds of errors that occur together.
pub(crate) trait ErrorGroup {
    /// The kinds of the group.
    fn kinds() -> Vec<ErrorKind>;
}

macro_rules! error_group {
    ($(#[$about:meta])* $name:ident: $($kind:ident),*) => {
        $(#[$about])*
        pub(crate) struct $name;

        impl ErrorGroup for $name {
            fn kinds() -> Vec<ErrorKind> {
                vec![$(ErrorKind::$kind),*]
            }
        }
    };
}

error_group!(
    /// A user is required.
    UserErrors: NotLoggedIn
);
error_group!(
    /// A user is required, with a CSRF token if the session is in a cookie.
    CsrfErrors: NotLoggedIn, Csrf
);
error_group!(
    /// The operation checks an e-mail address and a password.
    LoginErrors: WrongCredentials
);
error_group!(
    /// A service key is required.
    ServiceKeyErrors: InvalidServiceKey
);
error_group!(
    /// A permission is required.
    PermissionErrors: NotPermitted
);
error_group!(
    /// The path names something.
    TargetErrors: NotFound
);
error_group!(
    /// A parameter has a form that is checked.
    ParameterErrors: Malformed
);
error_group!(
    /// The request has a body.
    BodyErrors: Malformed, RequestTimeout, TooLarge, UnsupportedMediaType
);
error_group!(
    /// The request may have an `Idempotency-Key`.
    IdempotencyErrors: InFlight, IdempotencyKeyReused
);
error_group!(
    /// The request may have `If-Match`.
    PreconditionErrors: PreconditionFailed
);
error_group!(
    /// The request can conflict with what exists.
    ConflictErrors: Conflict
);
error_group!(
    /// The picture is claimed.
    ClaimErrors: Conflict, Gone, Rejected
);
error_group!(
    /// The operation waits for a worker, which may reject the picture.
    RejectionErrors: Rejected
);

/// Errors of every operation.
const ALWAYS: [ErrorKind; 3] = [ErrorKind::TooManyRequests, ErrorKind::Internal, ErrorKind::Unavailable];

macro_rules! groups_together {
    ($($group:ident),*) => {
        impl<$($group: ErrorGroup),*> ErrorGroup for ($($group,)*) {
            fn kinds() -> Vec<ErrorKind> {
                [$($group::kinds()),*].concat()
            }
        }
    };
}

groups_together!(A, B);
groups_together!(A, B, C);
groups_together!(A, B, C, D);
groups_together!(A, B, C, D, E);
groups_together!(A, B, C, D, E, F);

/// The form of error bodies.
pub(crate) trait ErrorForm {
    /// The media types of the bodies.
    const MEDIA_TYPES: &'static [&'static str];

    /// The schema of the bodies.
    fn schema() -> RefOr<Schema>;

    /// Returns the status of an error in this form.
    fn status(error: &ApiError) -> StatusCode {
        error.status()
    }

    /// Returns the body of an error.
    fn example(error: &ApiError) -> Value;

    /// Returns what this form adds to the description of a status.
    fn note(_status: StatusCode) -> &'static str {
        ""
    }
}

/// The error responses of an operation: those of the groups `G`, and those of every operation, in the form `F`.
pub(crate) struct Errors<F, G>(PhantomData<(F, G)>);

/// Errors as problem documents (RFC 9457).
pub(crate) type Problems<G> = Errors<ProblemForm, G>;

/// Errors as plain text (`docs/contracts/dropbox.md`, 1.4).
pub(crate) type TextErrors<G> = Errors<TextForm, G>;

/// Errors as plain text, or as a page if the request asks for it (`docs/contracts/dropbox.md`, 2.7).
pub(crate) type WrappedErrors<G> = Errors<WrappedForm, G>;

impl<F: ErrorForm, G: ErrorGroup> IntoResponses for Errors<F, G> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut by_status: BTreeMap<StatusCode, Vec<ErrorKind>> = BTreeMap::new();
        for kind in G::kinds().into_iter().chain(ALWAYS) {
            let kinds = by_status.entry(F::status(&kind.sample())).or_default();
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        let response = |(status, kinds): (StatusCode, Vec<ErrorKind>)| {
            (status.as_str().to_owned(), RefOr::T(error_response::<F>(status, &kinds)))
        };
        by_status.into_iter().map(response).collect()
    }
}

fn error_response<F: ErrorForm>(status: StatusCode, kinds: &[ErrorKind]) -> Response {
    let mut sentences: Vec<&str> = kinds.iter().map(|kind| kind.description()).collect();
    sentences.extend(Some(F::note(status)).filter(|note| !note.is_empty()));
    let samples: Vec<ApiError> = kinds.iter().map(|kind| kind.sample()).collect();
    let mut content = ContentBuilder::new().schema(Some(F::schema()));
    let example = |error: &ApiError| ExampleBuilder::new().value(Some(F::example(error)));
    content = content.examples_from_iter(samples.iter().map(|error| (error.code().to_owned(), example(error))));
    let (content, bare) = (content.build(), ContentBuilder::new().schema(Some(F::schema())).build());
    let mut response = ResponseBuilder::new().description(sentences.join(" "));
    for (number, media_type) in F::MEDIA_TYPES.iter().enumerate() {
        // The examples are written in the first media type.
        response = response.content(*media_type, if number == 0 { content.clone() } else { bare.clone() });
    }
    if samples.iter().any(|error| error.retry_after().is_some()) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let header = HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds to wait"));
        response = response.header("Retry-After", header.build());
    }
    response.build()
}

/// Problem documents.
pub(crate) struct ProblemForm;

impl ErrorForm for ProblemForm {
    const MEDIA_TYPES: &'static [&'static str] = &["application/problem+json"];

    fn schema() -> RefOr<Schema> {
        Ref::from_schema_name("Problem").into()
    }

    fn example(error: &ApiError) -> Value {
        serde_json::to_value(Problem::from(error)).unwrap_or_default()
    }
}

/// Bare messages.
pub(crate) struct TextForm;

impl ErrorForm for TextForm {
    const MEDIA_TYPES: &'static [&'static str] = &["text/plain"];

    fn schema() -> RefOr<Schema> {
        String::schema()
    }

    fn example(error: &ApiError) -> Value {
        error.message().into()
    }
}

/// Bare messages, or pages that contain them.
pub(crate) struct WrappedForm;

impl ErrorForm for WrappedForm {
    const MEDIA_TYPES: &'static [&'static str] = &["text/plain", "text/html"];

    fn schema() -> RefOr<Schema> {
        TextForm::schema()
    }

    fn example(error: &ApiError) -> Value {
        TextForm::example(error)
    }
}

#[cfg(test)]
mod tests {
    use backends::BackendError;
    use records::RecordsError;

    use super::*;

    const KINDS: [ErrorKind; 19] = [
        ErrorKind::Malformed,
        ErrorKind::NotLoggedIn,
        ErrorKind::Csrf,
        ErrorKind::WrongCredentials,
        ErrorKind::InvalidServiceKey,
        ErrorKind::NotPermitted,
        ErrorKind::NotFound,
        ErrorKind::RequestTimeout,
        ErrorKind::Conflict,
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
            ApiError::Csrf(_) => &[ErrorKind::Csrf],
            ApiError::WrongCredentials => &[ErrorKind::WrongCredentials],
            ApiError::NotPermitted(_) => &[ErrorKind::NotPermitted],
            ApiError::NotFound(_) => &[ErrorKind::NotFound],
            ApiError::Malformed { .. } => &[ErrorKind::Malformed],
            ApiError::TooLarge { .. } => &[ErrorKind::TooLarge],
            ApiError::UnsupportedMediaType(_) => &[ErrorKind::UnsupportedMediaType],
            ApiError::Rejected(_) => &[ErrorKind::Rejected],
            ApiError::Conflict(_) => &[ErrorKind::Conflict],
            ApiError::InFlight { .. } => &[ErrorKind::InFlight],
            ApiError::IdempotencyKeyReused => &[ErrorKind::IdempotencyKeyReused],
            ApiError::Gone(_) => &[ErrorKind::Gone],
            ApiError::PreconditionFailed => &[ErrorKind::PreconditionFailed],
            // The document describes the methods that a path has.
            ApiError::MethodNotAllowed(_) => &[],
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

    #[test]
    fn kinds_of_one_status_share_a_response() {
        let responses = Problems::<(ConflictErrors, IdempotencyErrors)>::responses();
        let statuses: Vec<&String> = responses.keys().collect();
        assert_eq!(statuses, ["409", "422", "429", "500", "503"]);
        let RefOr::T(conflict) = &responses["409"] else { panic!("a reference") };
        assert!(conflict.description.contains("conflicts") && conflict.description.contains("in progress"));
        assert!(conflict.headers.contains_key("Retry-After"));
        let examples = &serde_json::to_value(conflict).unwrap()["content"]["application/problem+json"]["examples"];
        let codes: Vec<&String> = examples.as_object().unwrap().keys().collect();
        assert_eq!(codes, ["conflict", "in_flight"]);
        assert_eq!(examples["conflict"]["value"]["status"], 409);
    }
}
