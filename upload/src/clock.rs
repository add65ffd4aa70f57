//! Where time comes from. Everything that expires, waits or is late asks a [`Clock`], so that a test moves time by hand
//! instead of sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// Tells the time: the system's, or a test's. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Milliseconds since 1970 of a clock that stands still until it is moved.
    manual: Option<Arc<AtomicI64>>,
    /// Milliseconds to add to the system's.
    correction: Arc<AtomicI64>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that shows `start` until [`advance`](Self::advance) moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self { manual: Some(Arc::new(AtomicI64::new(start.as_millisecond()))), ..Self::default() }
    }

    /// A machine's clock that is wrong by `millis`, until it is corrected.
    pub fn wrong_by(millis: i64) -> Self {
        Self { correction: Arc::new(AtomicI64::new(millis)), ..Self::default() }
    }

    /// Goes by somebody else's clock, which shows `truth` now: processes that share records must agree on the time, or
    /// one that is ahead would call everybody's uploads overdue. Returns by how many milliseconds this one was ahead.
    /// A manual clock is right by definition.
    pub(crate) fn correct(&self, truth: Timestamp) -> i64 {
        if self.manual.is_some() {
            return 0;
        }
        let ahead = self.now().as_millisecond() - truth.as_millisecond();
        self.correction.fetch_sub(ahead, Ordering::SeqCst);
        ahead
    }

    /// Now, to the millisecond: the precision of the records.
    pub fn now(&self) -> Timestamp {
        let now = match &self.manual {
            Some(millis) => millis.load(Ordering::SeqCst),
            None => Timestamp::now().as_millisecond() + self.correction.load(Ordering::SeqCst),
        };
        Timestamp::from_millisecond(now).unwrap_or(Timestamp::MAX)
    }

    /// Moves a manual clock forward, for every clone of it. The system's clock is not ours to move: nothing happens.
    pub fn advance(&self, by: Duration) {
        if let Some(millis) = &self.manual {
            millis.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}
