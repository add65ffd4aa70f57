//! Parameters and responses that the service-to-service operations share in the OpenAPI document.

#![expect(dead_code, reason = "describes parameters and answers for programs")]

use utoipa::{IntoParams, IntoResponses};

use crate::error::Problem;

/// The path of a resource.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ResourcePath {
    /// users, apps, apis, groups or businesses
    service: String,
    /// The resource: <unique>.<federation member>
    id: String,
}

/// A user in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct UserPath {
    /// The user, with or without the federation member
    user: String,
}

/// The errors of any operation.
#[derive(IntoResponses)]
pub(crate) enum ServiceErrors {
    /// The service key is missing or wrong
    #[response(status = 401, content_type = "application/problem+json")]
    NoSystem(Problem),
    /// There is no such thing
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
}

/// The additional errors of an operation that names a user or has a body.
#[derive(IntoResponses)]
pub(crate) enum MalformedRequest {
    /// What was sent makes no sense; the detail says what and what to send instead
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(Problem),
}

/// The additional errors of an operation that has a body.
#[derive(IntoResponses)]
pub(crate) enum RequestBodyErrors {
    /// Too large; the limit and what was received are named
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The type is not taken
    #[response(status = 415, content_type = "application/problem+json")]
    Unsupported(Problem),
}
