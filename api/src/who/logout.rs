//! Logging out: `POST /api/logout` ends the caller's session, `POST /api/logout/everywhere` all sessions of the caller.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::caller::Caller;
use super::login::Cookie;
use crate::desk::Desk;
use crate::problem::{ApiError, Problem};

/// `POST /api/logout`: ends the session, or the bearer token, that the request shows.
#[utoipa::path(
    post,
    path = "/api/logout",
    tag = "people",
    operation_id = "logout",
    responses(
        (status = 204, description = "The session has ended, in every copy of its cookie; both cookies are removed"),
        (status = 401, description = "Nobody is logged in, the session has expired, or the CSRF token is missing or wrong", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn one(State(desk): State<Desk>, headers: HeaderMap) -> Result<Response, ApiError> {
    let caller = Caller::writer(&desk, &headers).await?;
    end(&desk, &caller, false).await?;
    logged_out(&desk, &headers)
}

/// `POST /api/logout/everywhere`: ends all sessions of the caller, and all bearer tokens that the operator issued for the caller.
#[utoipa::path(
    post,
    path = "/api/logout/everywhere",
    tag = "people",
    operation_id = "logoutEverywhere",
    responses(
        (status = 204, description = "All sessions and issued bearer tokens of the caller have ended; both cookies are removed"),
        (status = 401, description = "Nobody is logged in, the session has expired, or the CSRF token is missing or wrong", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn everywhere(State(desk): State<Desk>, headers: HeaderMap) -> Result<Response, ApiError> {
    let caller = Caller::writer(&desk, &headers).await?;
    end(&desk, &caller, true).await?;
    logged_out(&desk, &headers)
}

/// Ends the session of the caller, or all of them.
pub(crate) async fn end(desk: &Desk, caller: &Caller, everywhere: bool) -> Result<(), ApiError> {
    if everywhere {
        return desk.end_sessions(&caller.user).await;
    }
    let token =
        caller.token.ok_or(ApiError::NotLoggedIn("only a session or a token that was issued here can be ended"))?;
    desk.end_session(token).await
}

/// The answer that removes both cookies.
pub(crate) fn logged_out(desk: &Desk, headers: &HeaderMap) -> Result<Response, ApiError> {
    let mut gone = StatusCode::NO_CONTENT.into_response();
    for (name, hidden) in [(&desk.names.session_cookie, true), (&desk.names.csrf_cookie, false)] {
        let cookie = desk.set_cookie(headers, &Cookie { name, value: "", hidden, age: 0 })?;
        gone.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(gone)
}
