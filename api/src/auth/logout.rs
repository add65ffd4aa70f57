//! Logout: `POST /api/logout` ends the caller's session, and `POST /api/logout/everywhere` ends all sessions of the
//! caller.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::auth::auth_user::AuthUser;
use crate::auth::authenticator::Authenticator;
use crate::auth::cookies::SessionCookies;
use crate::auth::sessions::Sessions;
use crate::error::ApiError;
use crate::openapi::error_responses::{CsrfErrors, Problems};

/// `POST /api/logout`: ends the session of the request, or its bearer token.
#[utoipa::path(
    post,
    path = "/api/logout",
    tag = "sessions",
    operation_id = "logout",
    responses(
        (status = 204, description = "The session has ended, in every copy of its cookie",
            headers(("Set-Cookie" = String, description = "Removes the session cookie and the CSRF cookie, one header each"))),
        Problems::<CsrfErrors>,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn logout(
    State(authenticator): State<Arc<Authenticator>>,
    State(sessions): State<Arc<Sessions>>,
    State(cookies): State<Arc<SessionCookies>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let caller = authenticator.authenticate_write(&headers).await?;
    log_out(&sessions, &caller, false).await?;
    logout_response(&cookies, &headers)
}

/// `POST /api/logout/everywhere`: ends all sessions of the caller, and all bearer tokens that the operator issued for
/// the caller.
#[utoipa::path(
    post,
    path = "/api/logout/everywhere",
    tag = "sessions",
    operation_id = "logoutEverywhere",
    responses(
        (status = 204, description = "All sessions and all issued bearer tokens of the caller have ended",
            headers(("Set-Cookie" = String, description = "Removes the session cookie and the CSRF cookie, one header each"))),
        Problems::<CsrfErrors>,
    ),
    security(("session" = [], "csrf" = []), ("bearer" = [])),
)]
pub(crate) async fn logout_everywhere(
    State(authenticator): State<Arc<Authenticator>>,
    State(sessions): State<Arc<Sessions>>,
    State(cookies): State<Arc<SessionCookies>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let caller = authenticator.authenticate_write(&headers).await?;
    log_out(&sessions, &caller, true).await?;
    logout_response(&cookies, &headers)
}

/// Ends the session or the bearer token of the request. If `everywhere`, ends all sessions and bearer tokens of the
/// caller.
pub(crate) async fn log_out(sessions: &Sessions, caller: &AuthUser, everywhere: bool) -> Result<(), ApiError> {
    if everywhere {
        return sessions.end_all(&caller.user_id).await;
    }
    let token = caller
        .token_id
        .ok_or(ApiError::NotLoggedIn("this token was not issued here; end it at the identity provider"))?;
    sessions.end(token).await
}

/// Returns the response that removes the session cookie and the CSRF cookie.
pub(crate) fn logout_response(cookies: &SessionCookies, headers: &HeaderMap) -> Result<Response, ApiError> {
    let mut response = StatusCode::NO_CONTENT.into_response();
    cookies.remove(&mut response, headers)?;
    Ok(response)
}
