//! Logout: `POST /api/logout` ends the caller's session, and `POST /api/logout/everywhere` ends all sessions of the
//! caller.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::auth::auth_user::AuthUser;
use crate::auth::login::SetCookie;
use crate::error::ApiError;
use crate::openapi::error_responses::{CsrfErrors, Problems};
use crate::state::AppState;

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
pub(crate) async fn logout(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, ApiError> {
    let caller = AuthUser::for_write(&state, &headers).await?;
    log_out(&state, &caller, false).await?;
    logout_response(&state, &headers)
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
pub(crate) async fn logout_everywhere(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, ApiError> {
    let caller = AuthUser::for_write(&state, &headers).await?;
    log_out(&state, &caller, true).await?;
    logout_response(&state, &headers)
}

/// Ends the session of the caller, or all of them.
pub(crate) async fn log_out(state: &AppState, caller: &AuthUser, everywhere: bool) -> Result<(), ApiError> {
    if everywhere {
        return state.end_sessions(&caller.user_id).await;
    }
    let token = caller
        .token_id
        .ok_or(ApiError::NotLoggedIn("this token was not issued here; end it at the identity provider"))?;
    state.end_session(token).await
}

/// The response that removes both cookies.
pub(crate) fn logout_response(state: &AppState, headers: &HeaderMap) -> Result<Response, ApiError> {
    let mut response = StatusCode::NO_CONTENT.into_response();
    for (name, http_only) in [(&state.realm_names.session_cookie, true), (&state.realm_names.csrf_cookie, false)] {
        let cookie = state.set_cookie(headers, &SetCookie { name, value: "", http_only, max_age: 0 })?;
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
