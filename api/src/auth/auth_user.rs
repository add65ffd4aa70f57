//! The authenticated user: resolved from the session cookie or a bearer token, with the CSRF token that a cookie
//! requires. All of it is decided from the request's head, before any of the body is read.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use domain::Upload;
use records::{Claimant, Role, User};
use uuid::Uuid;

use super::csrf;
use crate::auth::oidc::TokenVerificationError;
use crate::auth::realm::cookie_value;
use crate::auth::session_token::{Session, SessionError};
use crate::error::ApiError;
use crate::state::AppState;

/// A user who is logged in and not disabled.
#[derive(Clone, Debug)]
pub(crate) struct AuthUser {
    /// The user's id, without the federation member.
    pub(crate) user_id: String,
    /// Whether the user is a site administrator.
    pub(crate) is_admin: bool,
    /// The session, if it came in a cookie. A browser sends cookies with forged requests too, so such a session
    /// requires a CSRF token. A bearer token is never sent that way, so it needs no CSRF token.
    pub(crate) cookie_session: Option<Session>,
    /// The id of the session or of the bearer token, if it was issued here.
    pub(crate) token_id: Option<Uuid>,
}

/// Whether the request still has to show a CSRF token.
pub(crate) enum CsrfStatus {
    /// The head has a valid token, or no token is needed.
    Satisfied,
    /// The head has no token.
    Missing(Session),
}

impl AuthUser {
    /// Authenticates the caller from the request's head. Permissions are looked up, not taken from the session, because
    /// they change while sessions last. What was read of a session and its account is reused for
    /// `realm.session_cache_time`.
    pub(crate) async fn authenticate(state: &AppState, headers: &HeaderMap) -> Result<Self, ApiError> {
        if let (Some(identity), Some(token)) = (&state.token_verifier, bearer_jwt(headers)) {
            let user = identity.user_for_token(token, &state.backends.records).await;
            let user = user.map_err(|failure| match failure {
                TokenVerificationError::Invalid(why) => ApiError::NotLoggedIn(why),
                TokenVerificationError::Records(error) => error.into(),
            })?;
            return Self::from_verified_user(user);
        }
        let (session, by_cookie) = match headers.get(AUTHORIZATION) {
            Some(bearer) => {
                let token = bearer.to_str().ok().and_then(|value| {
                    let (scheme, token) = value.split_once(' ')?;
                    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
                });
                let token = token.ok_or(ApiError::NotLoggedIn(
                    "the Authorization header has no bearer token; send \"Authorization: Bearer <token>\"",
                ))?;
                (state.verify_session(token).await?, false)
            }
            None => {
                let value = cookie_value(headers, &state.realm_names.session_cookie);
                let value = value.ok_or(ApiError::NotLoggedIn("you are not logged in; log in first"))?;
                (state.verify_session(value).await?, true)
            }
        };
        let (admin, token) = (state.check_session(&session).await?, Some(session.token_id));
        Ok(Self {
            user_id: session.user_id.clone(),
            is_admin: admin,
            cookie_session: by_cookie.then_some(session),
            token_id: token,
        })
    }

    /// Accepts a user whom the identity provider authenticated.
    fn from_verified_user(user: User) -> Result<Self, ApiError> {
        if user.disabled {
            return Err(ApiError::NotLoggedIn("the account is disabled; ask an administrator to enable it"));
        }
        Ok(Self { user_id: user.id, is_admin: user.role == Role::Admin, cookie_session: None, token_id: None })
    }

    /// Checks the CSRF token in the head.
    pub(crate) fn csrf_status(&self, state: &AppState, headers: &HeaderMap) -> Result<CsrfStatus, ApiError> {
        let Some(session) = &self.cookie_session else { return Ok(CsrfStatus::Satisfied) };
        match headers.get(&state.realm_names.csrf_header) {
            Some(sent) => {
                let sent = sent.to_str().map_err(|_| ApiError::Csrf("the CSRF token is not valid"))?;
                let now = state.backends.records.clock().now();
                csrf::check(sent, session, &state.signing_keys, now).map_err(ApiError::Csrf)?;
                Ok(CsrfStatus::Satisfied)
            }
            None => Ok(CsrfStatus::Missing(session.clone())),
        }
    }

    fn require_csrf(&self, state: &AppState, headers: &HeaderMap) -> Result<(), ApiError> {
        match self.csrf_status(state, headers)? {
            CsrfStatus::Satisfied => Ok(()),
            CsrfStatus::Missing(_) => Err(ApiError::Csrf("the CSRF token is missing")),
        }
    }

    /// Authenticates the caller of a read that is not of a picture.
    pub(crate) async fn for_read(state: &AppState, headers: &HeaderMap) -> Result<Self, ApiError> {
        let caller = Self::authenticate(state, headers).await?;
        if state.realm.csrf_reads {
            caller.require_csrf(state, headers)?;
        }
        Ok(caller)
    }

    /// Authenticates the caller of a write.
    pub(crate) async fn for_write(state: &AppState, headers: &HeaderMap) -> Result<Self, ApiError> {
        let caller = Self::authenticate(state, headers).await?;
        if state.realm.csrf_writes {
            caller.require_csrf(state, headers)?;
        }
        Ok(caller)
    }

    /// Whether the user may see this upload before it is claimed.
    pub(crate) fn owns(&self, upload: &Upload) -> bool {
        self.is_admin || upload.owner == self.user_id
    }

    /// Returns the user in the form in which the records take a claimant.
    pub(crate) fn claimant(&self) -> Claimant {
        Claimant { user: self.user_id.clone(), admin: self.is_admin }
    }
}

/// Returns a bearer token that has the three parts of a JWT. Tokens issued here are percent-encoded, which a JWT never
/// is.
fn bearer_jwt(headers: &HeaderMap) -> Option<&str> {
    let (_, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (token.matches('.').count() == 2 && !token.contains('%')).then(|| token.trim())
}

impl FromRequestParts<AppState> for AuthUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        Self::authenticate(state, &parts.headers).await
    }
}

/// Extracts an [`AuthUser`] for a read that is not of a picture.
pub(crate) struct ReadAccess(pub(crate) AuthUser);

impl FromRequestParts<AppState> for ReadAccess {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        AuthUser::for_read(state, &parts.headers).await.map(Self)
    }
}

impl AppState {
    /// Verifies the session in a cookie or token. If the key is unknown, reads the keys again before it refuses,
    /// because another process may have made the key a moment ago.
    async fn verify_session(&self, value: &str) -> Result<Session, ApiError> {
        let now = self.backends.records.clock().now();
        let mut opened = Session::verify(value, &self.realm_names.fedmember, &self.signing_keys, now);
        if opened == Err(SessionError::UnknownKey) {
            self.signing_keys.refresh().await?;
            opened = Session::verify(value, &self.realm_names.fedmember, &self.signing_keys, now);
        }
        opened.map_err(|no| ApiError::NotLoggedIn(no.message()))
    }
}
