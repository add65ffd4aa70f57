//! Sessions: each one has a row in the records, which a signed cookie or bearer token names.
//!
//! The row is read when the session is used, and then reused for `realm.session_cache_time`, so that most requests need
//! no statement to authenticate the caller. A session that this process ended is refused at once. A session that
//! another process ended is refused within that time.

use std::sync::Arc;
use std::time::Duration;

use domain::random_id;
use jiff::{SignedDuration, Timestamp};
use records::{Records, Role, SessionRow, User};
use uuid::Uuid;

use crate::auth::realm::RealmSettings;
use crate::auth::realm_names::RealmNames;
use crate::auth::session_cache::SessionCache;
use crate::auth::session_token::{Session, SessionError};
use crate::auth::signing_keys::SigningKeys;
use crate::error::ApiError;

const SESSION_ENDED: ApiError = ApiError::NotLoggedIn("the session has ended; log in again");

/// Starts, verifies, renews and ends sessions.
pub(crate) struct Sessions {
    records: Records,
    realm: Arc<RealmNames>,
    signing_keys: SigningKeys,
    cache: SessionCache,
    lifetime: Duration,
    max_age: Duration,
}

impl Sessions {
    pub(crate) fn new(
        records: Records,
        realm: Arc<RealmNames>,
        signing_keys: SigningKeys,
        settings: &RealmSettings,
    ) -> Self {
        Self {
            records,
            realm,
            signing_keys,
            cache: SessionCache::new(settings.session_cache_time),
            lifetime: settings.session_lifetime,
            max_age: settings.session_max_age,
        }
    }

    /// Verifies the session in a cookie or token. If this process does not know the key of the signature, it first
    /// reads the keys again, because another process may have made the key a moment ago.
    pub(crate) async fn verify(&self, value: &str) -> Result<Session, ApiError> {
        let verify = || Session::verify(value, &self.realm.fedmember, &self.signing_keys, self.now());
        let mut verified = verify();
        if verified == Err(SessionError::UnknownKey) {
            self.signing_keys.refresh().await?;
            verified = verify();
        }
        verified.map_err(|error| ApiError::NotLoggedIn(error.message()))
    }

    /// Refuses a session that has ended. Returns whether its user is an administrator.
    pub(crate) async fn check(&self, session: &Session) -> Result<bool, ApiError> {
        let now = self.now();
        if let Some(admin) = self.cache.is_admin(session, now) {
            return Ok(admin);
        }
        let end_count_before = self.cache.end_count();
        let admin = self.read(session).await?.role == Role::Admin;
        self.cache.insert(session, admin, now, end_count_before);
        Ok(admin)
    }

    async fn read(&self, session: &Session) -> Result<SessionRow, ApiError> {
        let row = self.records.session(session.token_id).await?;
        let row = row.filter(|row| row.user == session.user_id).ok_or(SESSION_ENDED)?;
        if row.disabled {
            return Err(ApiError::NotLoggedIn("the account is disabled; ask an administrator to enable it"));
        }
        if row.revoked || row.ends_at <= self.now() { Err(SESSION_ENDED) } else { Ok(row) }
    }

    /// Starts a session for a user whose password was verified.
    pub(crate) async fn begin(&self, user: &User) -> Result<Session, ApiError> {
        self.signing_keys.refresh().await?;
        let ends_at = add_duration(self.now(), self.max_age);
        let token = random_id();
        if !self.records.add_session(token, user, ends_at).await? {
            return Err(ApiError::WrongCredentials);
        }
        Ok(self.session_until(user, token, ends_at))
    }

    /// Renews the session with a later expiry, up to its absolute end.
    pub(crate) async fn renew(&self, session: &Session) -> Result<(User, Session), ApiError> {
        let row = self.read(session).await?;
        self.signing_keys.refresh().await?;
        let user = self.records.user(&row.user).await?.ok_or(SESSION_ENDED)?;
        let renewed = self.session_until(&user, session.token_id, row.ends_at);
        Ok((user, renewed))
    }

    fn session_until(&self, user: &User, token: Uuid, ends_at: Timestamp) -> Session {
        let now = self.now();
        let expires = add_duration(now, self.lifetime).min(ends_at);
        Session {
            token_id: token,
            user_id: user.id.clone(),
            name: user.name.clone(),
            issued_at: now,
            expires_at: expires,
        }
    }

    /// Ends one session.
    pub(crate) async fn end(&self, token: Uuid) -> Result<(), ApiError> {
        self.records.end_session(token).await?;
        self.cache.remove(token);
        Ok(())
    }

    /// Ends all sessions of a user, and all bearer tokens that were issued for the user.
    pub(crate) async fn end_all(&self, user: &str) -> Result<(), ApiError> {
        self.records.end_sessions(user).await?;
        self.cache.remove_user(user);
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.records.clock().now()
    }
}

fn add_duration(now: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    now.saturating_add(time).unwrap_or(Timestamp::MAX)
}
