//! Counting what somebody did lately, to say "not so fast". In memory and per process: with several apis each gives the
//! full share, which still bounds them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// At most so many per window and key. Clones share the counts.
#[derive(Clone, Debug)]
pub(crate) struct Throttle {
    most: u32,
    window: SignedDuration,
    seen: Arc<Mutex<HashMap<String, Window>>>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    ends: Timestamp,
    count: u32,
}

/// Keys are thrown out once there are more than this: those whose window is over, or all of them.
const KEYS: usize = 100_000;

impl Throttle {
    pub(crate) fn new(most: u32, window: Duration) -> Self {
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::from_hours(1));
        Self { most, window, seen: Arc::default() }
    }

    /// Counts one more, or says in how many seconds to come back.
    pub(crate) fn count(&self, key: &str, now: Timestamp) -> Result<(), u64> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= KEYS {
            seen.retain(|_, window| window.ends > now);
            if seen.len() >= KEYS {
                seen.clear();
            }
        }
        let fresh = Window { ends: now.saturating_add(self.window).unwrap_or(Timestamp::MAX), count: 0 };
        let window = seen.entry(key.to_owned()).or_insert(fresh);
        if window.ends <= now {
            *window = fresh;
        }
        if window.count >= self.most {
            let left = window.ends.duration_since(now).as_secs().max(0);
            return Err(u64::try_from(left).unwrap_or_default() + 1);
        }
        window.count += 1;
        Ok(())
    }

    /// Forgets what this key did: it turned out well.
    pub(crate) fn forgive(&self, key: &str) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_at_a_time() {
        let throttle = Throttle::new(2, Duration::from_secs(60));
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(throttle.count("a", now), Ok(()));
        assert_eq!(throttle.count("a", now), Ok(()));
        assert_eq!(throttle.count("a", now), Err(61));
        assert_eq!(throttle.count("b", now), Ok(()));
        assert_eq!(throttle.count("a", now + SignedDuration::from_secs(60)), Ok(()));
        throttle.forgive("a");
        assert_eq!(throttle.count("a", now), Ok(()));
    }
}
