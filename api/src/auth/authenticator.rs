//! Authenticates the caller: by the session cookie or by a bearer token, with the CSRF token that a cookie requires. All
//! of it is decided from the request's head, before any of the body is read.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use records::{Records, Role, User};

use crate::auth::auth_user::AuthUser;
use crate::auth::csrf;
use crate::auth::oidc::{TokenVerificationError, TokenVerifier};
use crate::auth::realm::RealmSettings;
use crate::auth::realm_names::{RealmNames, cookie_value};
use crate::auth::session_token::Session;
use crate::auth::sessions::Sessions;
use crate::auth::signing_keys::SigningKeys;
use crate::error::ApiError;

/// Whether the request still has to show a CSRF token.
pub(crate) enum CsrfStatus {
    /// The head has a valid token, or no token is needed.
    Satisfied,
    /// The head has no token.
    Missing(Session),
}

/// Authenticates callers.
pub(crate) struct Authenticator {
    records: Records,
    realm: Arc<RealmNames>,
    sessions: Arc<Sessions>,
    signing_keys: SigningKeys,
    token_verifier: Option<TokenVerifier>,
    csrf_reads: bool,
    csrf_writes: bool,
}

impl Authenticator {
    /// `token_verifier` accepts tokens of the portal's identity provider, if there is one.
    pub(crate) fn new(
        records: Records,
        realm: Arc<RealmNames>,
        (sessions, signing_keys): (Arc<Sessions>, SigningKeys),
        token_verifier: Option<TokenVerifier>,
        settings: &RealmSettings,
    ) -> Self {
        let RealmSettings { csrf_reads, csrf_writes, .. } = *settings;
        Self { records, realm, sessions, signing_keys, token_verifier, csrf_reads, csrf_writes }
    }

    /// Authenticates the caller, without a CSRF token. Permissions are looked up, not taken from the session, because
    /// they change while sessions last. What was read of a session and its account is reused for
    /// `realm.session_cache_time`.
    pub(crate) async fn authenticate(&self, headers: &HeaderMap) -> Result<AuthUser, ApiError> {
        if let (Some(verifier), Some(token)) = (&self.token_verifier, bearer_jwt(headers)) {
            let user = verifier.user_for_token(token, &self.records).await;
            let user = user.map_err(|failure| match failure {
                TokenVerificationError::Invalid(why) => ApiError::NotLoggedIn(why),
                TokenVerificationError::Records(error) => error.into(),
            })?;
            return accept_verified_user(user);
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
                (self.sessions.verify(token).await?, false)
            }
            None => {
                let value = cookie_value(headers, &self.realm.session_cookie);
                let value = value.ok_or(ApiError::NotLoggedIn("you are not logged in; log in first"))?;
                (self.sessions.verify(value).await?, true)
            }
        };
        let (admin, token) = (self.sessions.check(&session).await?, Some(session.token_id));
        Ok(AuthUser {
            user_id: session.user_id.clone(),
            is_admin: admin,
            cookie_session: by_cookie.then_some(session),
            token_id: token,
        })
    }

    /// Authenticates the caller of a read that is not of a picture.
    pub(crate) async fn authenticate_read(&self, headers: &HeaderMap) -> Result<AuthUser, ApiError> {
        let caller = self.authenticate(headers).await?;
        if self.csrf_reads {
            require_csrf(&self.csrf_status(&caller, headers)?)?;
        }
        Ok(caller)
    }

    /// Authenticates the caller of a write.
    pub(crate) async fn authenticate_write(&self, headers: &HeaderMap) -> Result<AuthUser, ApiError> {
        let caller = self.authenticate(headers).await?;
        require_csrf(&self.csrf_status_of_write(&caller, headers)?)?;
        Ok(caller)
    }

    /// Checks the CSRF token in the head of a write. Forms without a script send it in a field of the body instead
    /// ([`Self::check_csrf_field`]).
    pub(crate) fn csrf_status_of_write(&self, caller: &AuthUser, headers: &HeaderMap) -> Result<CsrfStatus, ApiError> {
        if self.csrf_writes { self.csrf_status(caller, headers) } else { Ok(CsrfStatus::Satisfied) }
    }

    fn csrf_status(&self, caller: &AuthUser, headers: &HeaderMap) -> Result<CsrfStatus, ApiError> {
        let Some(session) = &caller.cookie_session else { return Ok(CsrfStatus::Satisfied) };
        match headers.get(&self.realm.csrf_header) {
            Some(sent) => {
                let sent = sent.to_str().map_err(|_| ApiError::Csrf("the CSRF token is not valid"))?;
                self.check_csrf_token(session, sent)?;
                Ok(CsrfStatus::Satisfied)
            }
            None => Ok(CsrfStatus::Missing(session.clone())),
        }
    }

    /// Checks the CSRF token in a field of the body, if the head had none. `token` is the field, if the body has it.
    pub(crate) fn check_csrf_field(&self, status: &CsrfStatus, token: Option<&str>) -> Result<(), ApiError> {
        match (status, token) {
            (CsrfStatus::Missing(session), Some(token)) => self.check_csrf_token(session, token),
            (status, _) => require_csrf(status),
        }
    }

    fn check_csrf_token(&self, session: &Session, token: &str) -> Result<(), ApiError> {
        csrf::check(token, session, &self.signing_keys, self.records.clock().now()).map_err(ApiError::Csrf)
    }
}

fn require_csrf(status: &CsrfStatus) -> Result<(), ApiError> {
    match status {
        CsrfStatus::Satisfied => Ok(()),
        CsrfStatus::Missing(_) => Err(ApiError::Csrf("the CSRF token is missing")),
    }
}

/// Accepts a user whom the identity provider authenticated.
fn accept_verified_user(user: User) -> Result<AuthUser, ApiError> {
    if user.disabled {
        return Err(ApiError::NotLoggedIn("the account is disabled; ask an administrator to enable it"));
    }
    Ok(AuthUser { user_id: user.id, is_admin: user.role == Role::Admin, cookie_session: None, token_id: None })
}

/// Returns a bearer token that has the three parts of a JWT. Tokens issued here are percent-encoded, which a JWT never
/// is.
fn bearer_jwt(headers: &HeaderMap) -> Option<&str> {
    let (_, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (token.matches('.').count() == 2 && !token.contains('%')).then(|| token.trim())
}
