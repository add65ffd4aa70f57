//! Rate limits by key. The counts are in memory and per process. With several API processes, each one allows the full
//! number, so the total is still bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Allows a maximum number of events per window and key. Clones share the counts.
#[derive(Clone, Debug)]
pub(crate) struct RateLimiter {
    max: u32,
    window: SignedDuration,
    state: Arc<Mutex<RateLimiterState>>,
}

#[derive(Debug, Default)]
struct RateLimiterState {
    windows: HashMap<String, RateWindow>,
    /// When expired windows are removed next.
    next_cleanup_at: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct RateWindow {
    ends_at: Timestamp,
    count: u32,
}

/// Expired windows are removed once per window, and whenever there are this many keys. If this many
/// remain even then, all of them are removed.
const MAX_KEYS: usize = 100_000;

impl RateLimiter {
    pub(crate) fn new(max: u32, window: Duration) -> Self {
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::from_hours(1));
        Self { max, window, state: Arc::default() }
    }

    /// Counts one event. If the limit is reached, fails with the seconds to wait.
    pub(crate) fn count(&self, key: &str, now: Timestamp) -> Result<(), u64> {
        let fresh = RateWindow { ends_at: now.saturating_add(self.window).unwrap_or(Timestamp::MAX), count: 0 };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= state.next_cleanup_at || state.windows.len() >= MAX_KEYS {
            state.next_cleanup_at = fresh.ends_at;
            state.windows.retain(|_, window| window.ends_at > now);
            if state.windows.len() >= MAX_KEYS {
                state.windows.clear();
            }
        }
        let window = state.windows.entry(key.to_owned()).or_insert(fresh);
        if window.ends_at <= now {
            *window = fresh;
        }
        if window.count >= self.max {
            let left = window.ends_at.duration_since(now).as_secs().max(0);
            return Err(u64::try_from(left).unwrap_or_default() + 1);
        }
        window.count += 1;
        Ok(())
    }

    /// Removes the count of this key.
    pub(crate) fn reset(&self, key: &str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).windows.remove(key);
    }

    /// Takes back one event that was counted for this key.
    pub(crate) fn refund(&self, key: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = state.windows.get_mut(key) {
            window.count = window.count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_maximum_in_each_window() {
        let limiter = RateLimiter::new(2, Duration::from_secs(60));
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(limiter.count("a", now), Ok(()));
        assert_eq!(limiter.count("a", now), Ok(()));
        assert_eq!(limiter.count("a", now), Err(61));
        assert_eq!(limiter.count("b", now), Ok(()));
        assert_eq!(limiter.count("a", now + SignedDuration::from_secs(60)), Ok(()));
        limiter.reset("a");
        assert_eq!(limiter.count("a", now), Ok(()));
    }

    #[test]
    fn expired_windows_are_removed() {
        let limiter = RateLimiter::new(2, Duration::from_secs(60));
        let window_count = || limiter.state.lock().unwrap().windows.len();
        for n in 0..1000 {
            limiter.count(&n.to_string(), Timestamp::UNIX_EPOCH).unwrap();
        }
        limiter.count("a", Timestamp::UNIX_EPOCH + SignedDuration::from_secs(59)).unwrap();
        assert_eq!(window_count(), 1001);
        limiter.count("b", Timestamp::UNIX_EPOCH + SignedDuration::from_secs(60)).unwrap();
        assert_eq!(window_count(), 2, "only the windows of a and b have not expired");
    }
}
