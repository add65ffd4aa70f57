//! Authenticates the caller: by the session cookie or by a bearer token, with the CSRF token that a cookie requires.
//! The head of the request decides, before any of the body is read. Only a CSRF token in a field of the body is checked
//! later.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use records::{Records, Role, User};

use crate::auth::auth_user::AuthUser;
use crate::auth::bearer_token::bearer_token;
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
    /// The head has a valid CSRF token, or none is needed.
    Satisfied,
    /// The head has no CSRF token, and this session needs one.
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
    /// `token_verifier` accepts tokens of the portal's identity provider. None if there is no such provider.
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
        let bearer = bearer_token(headers);
        if let (Some(verifier), Some(token)) = (&self.token_verifier, bearer.filter(|token| is_jwt(token))) {
            let user = verifier.user_for_token(token, &self.records).await;
            let user = user.map_err(|failure| match failure {
                TokenVerificationError::Invalid(why) => ApiError::NotLoggedIn(why),
                TokenVerificationError::Records(error) => error.into(),
            })?;
            return accept_verified_user(user);
        }
        let (session, by_cookie) = match (bearer, cookie_value(headers, &self.realm.session_cookie)) {
            (Some(token), _) => (self.sessions.verify(token).await?, false),
            // `Authorization` may have credentials of another scheme, which are for a proxy. They are ignored.
            (None, Some(value)) => (self.sessions.verify(value).await?, true),
            (None, None) if headers.contains_key(AUTHORIZATION) => {
                return Err(ApiError::NotLoggedIn(
                    "the Authorization header has no bearer token; send \"Authorization: Bearer <token>\"",
                ));
            }
            (None, None) => return Err(ApiError::NotLoggedIn("you are not logged in; log in first")),
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
            self.require_csrf(&self.csrf_status(&caller, headers)?)?;
        }
        Ok(caller)
    }

    /// Authenticates the caller of a write.
    pub(crate) async fn authenticate_write(&self, headers: &HeaderMap) -> Result<AuthUser, ApiError> {
        let caller = self.authenticate(headers).await?;
        self.require_csrf(&self.csrf_status_of_write(&caller, headers)?)?;
        Ok(caller)
    }

    /// Checks the CSRF token in the head of a write. Forms without a script send it in a field of the body instead
    /// ([`Self::check_csrf_field`]).
    pub(crate) fn csrf_status_of_write(&self, caller: &AuthUser, headers: &HeaderMap) -> Result<CsrfStatus, ApiError> {
        if self.csrf_writes { self.csrf_status(caller, headers) } else { Ok(CsrfStatus::Satisfied) }
    }

    fn csrf_status(&self, caller: &AuthUser, headers: &HeaderMap) -> Result<CsrfStatus, ApiError> {
        let Some(session) = &caller.cookie_session else { return Ok(CsrfStatus::Satisfied) };
        match self.realm.csrf_token(headers) {
            Some(sent) => {
                let sent = sent.to_str().map_err(|_| self.csrf_error("the CSRF token is not valid"))?;
                self.check_csrf_token(session, sent)?;
                Ok(CsrfStatus::Satisfied)
            }
            None => Ok(CsrfStatus::Missing(session.clone())),
        }
    }

    /// Checks the CSRF token in a field of the body, if the head had none. `token` is the value
    /// of the field, if the body has it.
    pub(crate) fn check_csrf_field(&self, status: &CsrfStatus, token: Option<&str>) -> Result<(), ApiError> {
        match (status, token) {
            (CsrfStatus::Missing(session), Some(token)) => self.check_csrf_token(session, token),
            (status, _) => self.require_csrf(status),
        }
    }

    fn check_csrf_token(&self, session: &Session, token: &str) -> Result<(), ApiError> {
        let checked = csrf::check(token, session, &self.signing_keys, self.records.clock().now());
        checked.map_err(|why| self.csrf_error(why))
    }

    fn require_csrf(&self, status: &CsrfStatus) -> Result<(), ApiError> {
        match status {
            CsrfStatus::Satisfied => Ok(()),
            CsrfStatus::Missing(_) => Err(self.csrf_error("the CSRF token is missing")),
        }
    }

    /// Returns the error. It names the header with the federation member, because a header of another name does not
    /// work.
    fn csrf_error(&self, why: &'static str) -> ApiError {
        ApiError::Csrf { why, fedmember: self.realm.fedmember.clone() }
    }
}

/// Accepts a user that the identity provider has authenticated, unless the account is disabled.
fn accept_verified_user(user: User) -> Result<AuthUser, ApiError> {
    if user.disabled {
        return Err(ApiError::NotLoggedIn("the account is disabled; ask an administrator to enable it"));
    }
    Ok(AuthUser { user_id: user.id, is_admin: user.role == Role::Admin, cookie_session: None, token_id: None })
}

/// Returns whether a token has the three parts of a JWT. A token that Cloakroom issued
/// contains `%`, and a JWT does not.
fn is_jwt(token: &str) -> bool {
    token.matches('.').count() == 2 && !token.contains('%')
}
