//! The error responses of operations in the OpenAPI document. Each kind of error is described once
//! (`error_kind`), by a real error. The status, the headers and the example follow from that error.
//! An operation names groups of kinds, in one of the four forms of error bodies: [`Problems`],
//! [`TextErrors`], [`WrappedErrors`], or the form of the documents API.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use axum::http::StatusCode;
use serde_json::Value;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{ContentBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema, Type};
use utoipa::{IntoResponses, PartialSchema};

use super::error_kind::ErrorKind;
use crate::error::{ApiError, Problem};

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
    /// Something can be deleted only if nothing else uses it.
    InUseErrors: InUse
);
error_group!(
    /// The path names something that may have been removed.
    GoneErrors: Gone
);
error_group!(
    /// A picture is claimed. The reason for which a worker rejected the picture decides between 403, 415 and 422.
    ClaimErrors: Conflict, Gone, NotPermitted, UnsupportedMediaType, Rejected
);
error_group!(
    /// A limit on variants or crops of a picture is reached, or a variant cannot be rendered.
    RejectionErrors: UnsupportedMediaType, Rejected
);
error_group!(
    /// The operation waits for a worker, which may reject the upload. The reason decides between 403, 415 and 422.
    UploadRejectionErrors: NotPermitted, UnsupportedMediaType, Rejected
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

    /// The schema of the bodies in a media type other than the first.
    fn other_schema(_media_type: &str) -> RefOr<Schema> {
        Self::schema()
    }

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
    let content = content.build();
    let bare = |media_type| ContentBuilder::new().schema(Some(F::other_schema(media_type))).build();
    let mut response = ResponseBuilder::new().description(sentences.join(" "));
    for (number, media_type) in F::MEDIA_TYPES.iter().enumerate() {
        // The examples are written in the first media type.
        response = response.content(*media_type, if number == 0 { content.clone() } else { bare(media_type) });
    }
    if samples.iter().any(|error| error.retry_after().is_some()) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let header = HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds to wait"));
        response = response.header("Retry-After", header.build());
    }
    response.build()
}

/// The media type of problem documents.
const PROBLEM: &str = "application/problem+json";

/// Problem documents.
pub(crate) struct ProblemForm;

impl ErrorForm for ProblemForm {
    const MEDIA_TYPES: &'static [&'static str] = &[PROBLEM];

    fn schema() -> RefOr<Schema> {
        Ref::from_schema_name("Problem").into()
    }

    fn example(error: &ApiError) -> Value {
        serde_json::to_value(Problem::from(error)).unwrap_or_default()
    }
}

/// Bare messages, or problem documents if the client asks for them.
pub(crate) struct TextForm;

impl ErrorForm for TextForm {
    const MEDIA_TYPES: &'static [&'static str] = &["text/plain", PROBLEM];

    fn schema() -> RefOr<Schema> {
        String::schema()
    }

    fn other_schema(media_type: &str) -> RefOr<Schema> {
        if media_type == PROBLEM { ProblemForm::schema() } else { Self::schema() }
    }

    fn example(error: &ApiError) -> Value {
        error.message().into()
    }
}

/// Bare messages, problem documents if the client asks for them, or pages that contain the messages.
pub(crate) struct WrappedForm;

impl ErrorForm for WrappedForm {
    const MEDIA_TYPES: &'static [&'static str] = &["text/plain", PROBLEM, "text/html"];

    fn schema() -> RefOr<Schema> {
        TextForm::schema()
    }

    fn other_schema(media_type: &str) -> RefOr<Schema> {
        TextForm::other_schema(media_type)
    }

    fn example(error: &ApiError) -> Value {
        TextForm::example(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
