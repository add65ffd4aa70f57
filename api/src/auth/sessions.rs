//! Sessions: each one has a row in the records, which a signed cookie or bearer token names.
//!
//! The row is read when the session is used, and then reused for `realm.session_cache_time`, so that most requests need
//! no statement to authenticate the caller. A session that this process ended is refused at once. A session that
//! another process ended is refused within that time.

use std::time::Duration;

use domain::random_id;
use jiff::{SignedDuration, Timestamp};
use records::{Role, SessionRow, User};
use uuid::Uuid;

use crate::auth::session_token::Session;
use crate::error::ApiError;
use crate::state::AppState;

const SESSION_ENDED: ApiError = ApiError::NotLoggedIn("the session has ended; log in again");

impl AppState {
    /// Refuses a session that has ended. Returns whether its user is an administrator.
    pub(crate) async fn check_session(&self, session: &Session) -> Result<bool, ApiError> {
        let now = self.backends.records.clock().now();
        if let Some(admin) = self.session_cache.is_admin(session, now) {
            return Ok(admin);
        }
        let ended = self.session_cache.end_count();
        let admin = self.read_session(session).await?.role == Role::Admin;
        self.session_cache.insert(session, admin, now, ended);
        Ok(admin)
    }

    async fn read_session(&self, session: &Session) -> Result<SessionRow, ApiError> {
        let row = self.backends.records.session(session.token_id).await?;
        let row = row.filter(|row| row.user == session.user_id).ok_or(SESSION_ENDED)?;
        if row.disabled {
            return Err(ApiError::NotLoggedIn("the account is disabled; ask an administrator to enable it"));
        }
        if row.revoked || row.ends_at <= self.backends.records.clock().now() { Err(SESSION_ENDED) } else { Ok(row) }
    }

    /// Starts a session for a user whose password was verified.
    pub(crate) async fn begin_session(&self, user: &User) -> Result<Session, ApiError> {
        self.signing_keys.refresh().await?;
        let now = self.backends.records.clock().now();
        let ends_at = add_duration(now, self.realm.session_max_age);
        let token = random_id();
        if !self.backends.records.add_session(token, user, ends_at).await? {
            return Err(ApiError::WrongCredentials);
        }
        Ok(self.session_until(user, token, ends_at))
    }

    /// Renews the session with a later expiry, up to its absolute end.
    pub(crate) async fn renew_session(&self, session: &Session) -> Result<(User, Session), ApiError> {
        let row = self.read_session(session).await?;
        self.signing_keys.refresh().await?;
        let user = self.backends.records.user(&row.user).await?.ok_or(SESSION_ENDED)?;
        let renewed = self.session_until(&user, session.token_id, row.ends_at);
        Ok((user, renewed))
    }

    fn session_until(&self, user: &User, token: Uuid, ends_at: Timestamp) -> Session {
        let now = self.backends.records.clock().now();
        let expires = add_duration(now, self.realm.session_lifetime).min(ends_at);
        Session {
            token_id: token,
            user_id: user.id.clone(),
            name: user.name.clone(),
            issued_at: now,
            expires_at: expires,
        }
    }

    /// Ends one session.
    pub(crate) async fn end_session(&self, token: Uuid) -> Result<(), ApiError> {
        self.backends.records.end_session(token).await?;
        self.session_cache.remove(token);
        Ok(())
    }

    /// Ends all sessions of a user, and all bearer tokens that were issued for the user.
    pub(crate) async fn end_sessions(&self, user: &str) -> Result<(), ApiError> {
        self.backends.records.end_sessions(user).await?;
        self.session_cache.remove_user(user);
        Ok(())
    }
}

fn add_duration(now: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    now.saturating_add(time).unwrap_or(Timestamp::MAX)
}
