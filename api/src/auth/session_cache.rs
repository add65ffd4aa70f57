//! A cache of valid sessions, in memory and per process, so that most requests need no database query.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::auth::session_token::Session;

/// The most sessions that are cached. If the cache is full, further sessions are read from the database on each
/// request.
const MAX_CACHED_SESSIONS: usize = 10_000;

/// The cached sessions. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct SessionCache {
    ttl: SignedDuration,
    state: Arc<Mutex<SessionCacheState>>,
}

#[derive(Debug, Default)]
struct SessionCacheState {
    sessions: HashMap<Uuid, CachedSession>,
    /// How often this process has ended sessions. What was read from the database before the latest end may be
    /// outdated, so it is not cached.
    end_count: u64,
    /// When expired entries are removed next.
    next_cleanup_at: Timestamp,
}

#[derive(Debug)]
struct CachedSession {
    user_id: String,
    is_admin: bool,
    read_at: Timestamp,
}

impl SessionCache {
    /// Creates a cache whose entries are reused for `ttl`.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self { ttl: SignedDuration::try_from(ttl).unwrap_or_default(), state: Arc::default() }
    }

    /// Returns whether the session's user is an administrator. None if no recent entry says that the session is valid.
    pub(crate) fn is_admin(&self, session: &Session, now: Timestamp) -> Option<bool> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = state.sessions.get(&session.token_id)?;
        (entry.user_id == session.user_id && self.is_fresh(entry, now)).then_some(entry.is_admin)
    }

    /// Whether an entry may be reused. An entry from the future is not fresh, because the clock may have been set back.
    fn is_fresh(&self, entry: &CachedSession, now: Timestamp) -> bool {
        now.duration_since(entry.read_at).abs() < self.ttl
    }

    /// How often this process has ended sessions so far.
    pub(crate) fn end_count(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).end_count
    }

    /// Caches a valid session. Does nothing if the end count is not what it was before the session was read.
    pub(crate) fn insert(&self, session: &Session, admin: bool, now: Timestamp, end_count_before: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.end_count != end_count_before {
            return;
        }
        if now >= state.next_cleanup_at {
            state.next_cleanup_at = now.saturating_add(self.ttl).unwrap_or(Timestamp::MAX);
            state.sessions.retain(|_, entry| self.is_fresh(entry, now));
        }
        if state.sessions.len() < MAX_CACHED_SESSIONS {
            let cached = CachedSession { user_id: session.user_id.clone(), is_admin: admin, read_at: now };
            state.sessions.insert(session.token_id, cached);
        }
    }

    /// Removes a session that this process has ended.
    pub(crate) fn remove(&self, token: Uuid) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.end_count += 1;
        state.sessions.remove(&token);
    }

    /// Removes the sessions of a user, all of which this process has ended.
    pub(crate) fn remove_user(&self, user: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.end_count += 1;
        state.sessions.retain(|_, entry| entry.user_id != user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(n: u128) -> Session {
        let (issued, expires) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        Session {
            token_id: Uuid::from_u128(n),
            user_id: "jane".to_owned(),
            name: String::new(),
            issued_at: issued,
            expires_at: expires,
        }
    }

    #[test]
    fn the_cache_is_bounded_and_drops_expired_entries() {
        let cache = SessionCache::new(Duration::from_secs(5));
        let now = Timestamp::UNIX_EPOCH;
        for n in 0..=MAX_CACHED_SESSIONS as u128 {
            cache.insert(&session(n), n == 7, now, 0);
        }
        assert_eq!(cache.state.lock().unwrap().sessions.len(), MAX_CACHED_SESSIONS);
        assert_eq!(cache.is_admin(&session(7), now), Some(true));
        assert_eq!(
            cache.is_admin(&session(MAX_CACHED_SESSIONS as u128), now),
            None,
            "a session over the maximum is not cached"
        );
        let stolen = Session { user_id: "admin".to_owned(), ..session(7) };
        assert_eq!(cache.is_admin(&stolen, now), None, "the id of another user's session is not enough");
        let later = now + SignedDuration::from_secs(5);
        assert_eq!(cache.is_admin(&session(7), later), None);
        cache.insert(&session(8), false, later, 0);
        assert_eq!(cache.state.lock().unwrap().sessions.len(), 1);
        cache.remove_user("jane");
        assert_eq!(cache.is_admin(&session(8), later), None);
    }

    #[test]
    fn a_session_read_before_it_ended_is_not_cached() {
        let cache = SessionCache::new(Duration::from_secs(5));
        let now = Timestamp::UNIX_EPOCH;
        let ends: [fn(&SessionCache); 2] =
            [|cache| cache.remove(Uuid::from_u128(1)), |cache| cache.remove_user("jane")];
        for end in ends {
            let end_count_before = cache.end_count();
            end(&cache);
            cache.insert(&session(1), false, now, end_count_before);
            assert_eq!(cache.is_admin(&session(1), now), None);
        }
    }
}
