//! Sessions that last and end: a row in the records each, which a signed cookie or bearer token names.
//!
//! A row is read when its session is used, and counts for `realm.session_check` after that without being read again, so
//! that most requests cost no statement for knowing the caller. What is ended by this process is refused at once, what is
//! ended by another one within that time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use upload::{Role, SessionRow, User};
use uuid::Uuid;

use super::session::Session;
use crate::desk::Desk;
use crate::problem::ApiError;

/// The most sessions that are remembered; a further one costs a statement for each of its requests.
const MOST: usize = 10_000;

const ENDED: ApiError = ApiError::NotLoggedIn("the session has ended");

/// What was last read of sessions. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct SessionCache {
    holds: SignedDuration,
    read: Arc<Mutex<Read>>,
}

#[derive(Debug, Default)]
struct Read {
    sessions: HashMap<Uuid, Known>,
    /// How often sessions were ended here. What was read before one was ended may be older than its end.
    ended: u64,
    /// When entries that no longer hold are removed next.
    tidy_at: Timestamp,
}

#[derive(Debug)]
struct Known {
    user: String,
    admin: bool,
    read_at: Timestamp,
}

impl SessionCache {
    /// A cache whose entries hold for so long.
    pub(crate) fn new(holds: Duration) -> Self {
        Self { holds: SignedDuration::try_from(holds).unwrap_or_default(), read: Arc::default() }
    }

    /// Whether the session's user is an administrator, if the session was good a moment ago.
    fn admin(&self, session: &Session, now: Timestamp) -> Option<bool> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let known = read.sessions.get(&session.token)?;
        (known.user == session.user && self.still_holds(known, now)).then_some(known.admin)
    }

    /// A clock that was corrected backwards ends an entry as well.
    fn still_holds(&self, known: &Known, now: Timestamp) -> bool {
        now.duration_since(known.read_at).abs() < self.holds
    }

    /// How often sessions have been ended here so far.
    fn ended(&self) -> u64 {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).ended
    }

    /// Remembers what was read of a session, unless one was ended since there were `ended` ends.
    fn note(&self, session: &Session, admin: bool, now: Timestamp, ended: u64) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.ended != ended {
            return;
        }
        if now >= read.tidy_at {
            read.tidy_at = now.saturating_add(self.holds).unwrap_or(Timestamp::MAX);
            read.sessions.retain(|_, known| self.still_holds(known, now));
        }
        if read.sessions.len() < MOST {
            let known = Known { user: session.user.clone(), admin, read_at: now };
            read.sessions.insert(session.token, known);
        }
    }

    fn forget(&self, token: Uuid) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.ended += 1;
        read.sessions.remove(&token);
    }

    fn forget_user(&self, user: &str) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.ended += 1;
        read.sessions.retain(|_, known| known.user != user);
    }
}

impl Desk {
    /// Refuses a session that has ended. Returns whether its user is an administrator.
    pub(crate) async fn check_session(&self, session: &Session) -> Result<bool, ApiError> {
        let now = self.places.records.clock().now();
        if let Some(admin) = self.sessions.admin(session, now) {
            return Ok(admin);
        }
        let ended = self.sessions.ended();
        let admin = self.read_session(session).await?.role == Role::Admin;
        self.sessions.note(session, admin, now, ended);
        Ok(admin)
    }

    async fn read_session(&self, session: &Session) -> Result<SessionRow, ApiError> {
        let row = self.places.records.session(session.token).await?;
        let row = row.filter(|row| row.user == session.user).ok_or(ENDED)?;
        if row.disabled {
            return Err(ApiError::NotLoggedIn("the account is disabled"));
        }
        if row.revoked || row.ends_at <= self.places.records.clock().now() { Err(ENDED) } else { Ok(row) }
    }

    /// Begins a session for a user whose password was verified.
    pub(crate) async fn begin_session(&self, user: &User) -> Result<Session, ApiError> {
        self.keys.refresh().await?;
        let now = self.places.records.clock().now();
        let ends_at = after(now, self.realm.session_max_age);
        let token = Uuid::new_v4();
        if !self.places.records.add_session(token, user, ends_at).await? {
            return Err(ApiError::WrongCredentials);
        }
        Ok(self.session_until(user, token, ends_at))
    }

    /// The same session with a new expiry, up to its absolute end.
    pub(crate) async fn renew_session(&self, session: &Session) -> Result<(User, Session), ApiError> {
        let row = self.read_session(session).await?;
        self.keys.refresh().await?;
        let user = self.places.records.user(&row.user).await?.ok_or(ENDED)?;
        let renewed = self.session_until(&user, session.token, row.ends_at);
        Ok((user, renewed))
    }

    fn session_until(&self, user: &User, token: Uuid, ends_at: Timestamp) -> Session {
        let now = self.places.records.clock().now();
        let expires = after(now, self.realm.session).min(ends_at);
        Session { token, user: user.id.clone(), name: user.name.clone(), issued: now, expires }
    }

    /// Ends one session.
    pub(crate) async fn end_session(&self, token: Uuid) -> Result<(), ApiError> {
        self.places.records.end_session(token).await?;
        self.sessions.forget(token);
        Ok(())
    }

    /// Ends all sessions of a user, and all bearer tokens that were issued for the user.
    pub(crate) async fn end_sessions(&self, user: &str) -> Result<(), ApiError> {
        self.places.records.end_sessions(user).await?;
        self.sessions.forget_user(user);
        Ok(())
    }
}

fn after(now: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    now.saturating_add(time).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(n: u128) -> Session {
        let (issued, expires) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        Session { token: Uuid::from_u128(n), user: "jane".to_owned(), name: String::new(), issued, expires }
    }

    #[test]
    fn the_cache_is_bounded_and_forgets_entries_that_no_longer_hold() {
        let cache = SessionCache::new(Duration::from_secs(5));
        let now = Timestamp::UNIX_EPOCH;
        for n in 0..=MOST as u128 {
            cache.note(&session(n), n == 7, now, 0);
        }
        assert_eq!(cache.read.lock().unwrap().sessions.len(), MOST);
        assert_eq!(cache.admin(&session(7), now), Some(true));
        assert_eq!(cache.admin(&session(MOST as u128), now), None, "a further session is read each time");
        let stolen = Session { user: "admin".to_owned(), ..session(7) };
        assert_eq!(cache.admin(&stolen, now), None, "another user's session");
        let later = now + SignedDuration::from_secs(5);
        assert_eq!(cache.admin(&session(7), later), None);
        cache.note(&session(8), false, later, 0);
        assert_eq!(cache.read.lock().unwrap().sessions.len(), 1);
        cache.forget_user("jane");
        assert_eq!(cache.admin(&session(8), later), None);
    }

    #[test]
    fn what_was_read_before_a_session_was_ended_is_not_remembered() {
        let cache = SessionCache::new(Duration::from_secs(5));
        let now = Timestamp::UNIX_EPOCH;
        let ends: [fn(&SessionCache); 2] =
            [|cache| cache.forget(Uuid::from_u128(1)), |cache| cache.forget_user("jane")];
        for end in ends {
            let ended = cache.ended();
            end(&cache);
            cache.note(&session(1), false, now, ended);
            assert_eq!(cache.admin(&session(1), now), None);
        }
    }
}
