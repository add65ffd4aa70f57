//! What the calls of systems have in common, as the api's description shows it.

#![expect(dead_code, reason = "describes parameters and answers for programs")]

use utoipa::{IntoParams, IntoResponses};

use crate::error::Problem;

/// The address of a resource.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ResourcePath {
    /// users, apps, apis, groups or businesses
    service: String,
    /// The resource: <unique>.<federation member>
    id: String,
}

/// A user in an address.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct UserPath {
    /// The user, with or without the federation member
    user: String,
}

/// What any call may be refused with.
#[derive(IntoResponses)]
pub(crate) enum ServiceErrors {
    /// The service key is missing or wrong
    #[response(status = 401, content_type = "application/problem+json")]
    NoSystem(Problem),
    /// There is no such thing
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
}

/// What a call that names a user or brings a body may be refused with beside that.
#[derive(IntoResponses)]
pub(crate) enum MalformedRequest {
    /// What was sent makes no sense; the detail says what and what to send instead
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(Problem),
}

/// What a call that brings a body may be refused with beside that.
#[derive(IntoResponses)]
pub(crate) enum RequestBodyErrors {
    /// Too large; the limit and what was received are named
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The type is not taken
    #[response(status = 415, content_type = "application/problem+json")]
    Unsupported(Problem),
}
