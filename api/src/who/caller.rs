//! Who is calling, and whether they may call so: the session cookie or a bearer token, and the CSRF token that a cookie
//! needs beside it. All of it is decided from the request's head, before a byte of its body is read.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use upload::{Claimant, Role, Upload, User};
use uuid::Uuid;

use super::csrf;
use super::identity::Vouch;
use super::realm::cookie;
use super::session::{NoSession, Session};
use crate::desk::Desk;
use crate::problem::ApiError;

/// Somebody who is logged in and not disabled.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Their id, without the federation member.
    pub(crate) user: String,
    /// Whether they are a site administrator.
    pub(crate) admin: bool,
    /// The session of a browser, whose cookies go along with requests that it was tricked into. A bearer token never
    /// does, so it needs no CSRF token.
    pub(crate) cookie: Option<Session>,
    /// The number of the session or of the bearer token, if it was issued here.
    pub(crate) token: Option<Uuid>,
}

/// Whether a token came along.
pub(crate) enum Guarded {
    /// It did, and is good, or none is needed.
    Yes,
    /// None came in the head.
    Missing(Session),
}

impl Caller {
    /// The caller, by the head of their request. What they may is looked up, not believed: rights change while sessions
    /// last. What was read of a session and its account counts for `realm.session_check`.
    pub(crate) async fn of(desk: &Desk, headers: &HeaderMap) -> Result<Self, ApiError> {
        if let (Some(identity), Some(token)) = (&desk.identity, jwt(headers)) {
            let user = identity.user(token, &desk.places.records).await;
            let user = user.map_err(|vouch| match vouch {
                Vouch::No(why) => ApiError::NotLoggedIn(why),
                Vouch::Records(error) => error.into(),
            })?;
            return Self::allowed(user);
        }
        let (session, by_cookie) = match headers.get(AUTHORIZATION) {
            Some(bearer) => {
                let token = bearer.to_str().ok().and_then(|value| {
                    let (scheme, token) = value.split_once(' ')?;
                    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
                });
                let token = token.ok_or(ApiError::NotLoggedIn("only bearer tokens are understood"))?;
                (desk.session(token).await?, false)
            }
            None => {
                let value = cookie(headers, &desk.names.session_cookie);
                let value = value.ok_or(ApiError::NotLoggedIn("nobody is logged in"))?;
                (desk.session(value).await?, true)
            }
        };
        let (admin, token) = (desk.check_session(&session).await?, Some(session.token));
        Ok(Self { user: session.user.clone(), admin, cookie: by_cookie.then_some(session), token })
    }

    /// Somebody whom the identity provider vouches for.
    fn allowed(user: User) -> Result<Self, ApiError> {
        if user.disabled {
            return Err(ApiError::NotLoggedIn("the account is disabled"));
        }
        Ok(Self { user: user.id, admin: user.role == Role::Admin, cookie: None, token: None })
    }

    /// Looks for the CSRF token in the head.
    pub(crate) fn guarded(&self, desk: &Desk, headers: &HeaderMap) -> Result<Guarded, ApiError> {
        let Some(session) = &self.cookie else { return Ok(Guarded::Yes) };
        match headers.get(&desk.names.csrf_header) {
            Some(sent) => {
                let sent = sent.to_str().map_err(|_| ApiError::Csrf("the CSRF token is not valid"))?;
                let now = desk.places.records.clock().now();
                csrf::check(sent, session, &desk.keys, now).map_err(ApiError::Csrf)?;
                Ok(Guarded::Yes)
            }
            None => Ok(Guarded::Missing(session.clone())),
        }
    }

    fn guard(&self, desk: &Desk, headers: &HeaderMap) -> Result<(), ApiError> {
        match self.guarded(desk, headers)? {
            Guarded::Yes => Ok(()),
            Guarded::Missing(_) => Err(ApiError::Csrf("the CSRF token is missing")),
        }
    }

    /// The one who may read something that is not a picture.
    pub(crate) async fn reader(desk: &Desk, headers: &HeaderMap) -> Result<Self, ApiError> {
        let caller = Self::of(desk, headers).await?;
        if desk.realm.csrf_reads {
            caller.guard(desk, headers)?;
        }
        Ok(caller)
    }

    /// The one who may write.
    pub(crate) async fn writer(desk: &Desk, headers: &HeaderMap) -> Result<Self, ApiError> {
        let caller = Self::of(desk, headers).await?;
        if desk.realm.csrf_writes {
            caller.guard(desk, headers)?;
        }
        Ok(caller)
    }

    /// Whether an upload is theirs to see while it waits to be claimed.
    pub(crate) fn owns(&self, upload: &Upload) -> bool {
        self.admin || upload.owner == self.user
    }

    /// As the records know them when they claim.
    pub(crate) fn claimant(&self) -> Claimant {
        Claimant { user: self.user.clone(), admin: self.admin }
    }
}

/// A bearer token of the three parts of a JWT. Our own tokens are percent-encoded, which those never are.
fn jwt(headers: &HeaderMap) -> Option<&str> {
    let (_, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (token.matches('.').count() == 2 && !token.contains('%')).then(|| token.trim())
}

impl FromRequestParts<Desk> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, ApiError> {
        Self::of(desk, &parts.headers).await
    }
}

/// A [`Caller`] who may read something that is not a picture.
pub(crate) struct Reader(pub(crate) Caller);

impl FromRequestParts<Desk> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, ApiError> {
        Caller::reader(desk, &parts.headers).await.map(Self)
    }
}

impl Desk {
    /// The session in a cookie or token. A key made by another process a moment ago is looked for before it is refused.
    async fn session(&self, value: &str) -> Result<Session, ApiError> {
        let now = self.places.records.clock().now();
        let mut opened = Session::open(value, &self.names.fed, &self.keys, now);
        if opened == Err(NoSession::UnknownKey) {
            self.keys.refresh().await?;
            opened = Session::open(value, &self.names.fed, &self.keys, now);
        }
        opened.map_err(|no| ApiError::NotLoggedIn(no.why()))
    }
}
