//! The source of time. Everything that expires, waits or is late uses a [`Clock`], so that a test advances time by
//! hand instead of sleeping.

#![expect(clippy::disallowed_methods, reason = "the owner of time")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A cloneable clock: system time, time synchronised to the database, or a manually advanced test clock. All clones
/// show the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Milliseconds since 1970 of a manual clock.
    manual: Option<Arc<AtomicI64>>,
    /// Milliseconds by which the system time is wrong, in a test.
    skew_ms: i64,
    /// The moment when this clock was created, by the system's monotonic clock, which cannot be set.
    monotonic_start: Instant,
    /// Milliseconds since 1970 at `monotonic_start`, by the clock to which this clock was synchronised;
    /// [`NOT_SYNCHRONIZED`] before that.
    synchronized_start_ms: Arc<AtomicI64>,
}

const NOT_SYNCHRONIZED: i64 = i64::MIN;

impl Default for Clock {
    fn default() -> Self {
        Self {
            manual: None,
            skew_ms: 0,
            monotonic_start: Instant::now(),
            synchronized_start_ms: Arc::new(AtomicI64::new(NOT_SYNCHRONIZED)),
        }
    }
}

impl Clock {
    /// The system clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A manual clock that shows `start` until [`advance`](Self::advance) moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self { manual: Some(Arc::new(AtomicI64::new(start.as_millisecond()))), ..Self::default() }
    }

    /// A system clock that is wrong by `millis`, until it is synchronised.
    pub fn with_skew(millis: i64) -> Self {
        Self { skew_ms: millis, ..Self::default() }
    }

    /// Synchronises to another clock, which shows `reference` now. Returns the milliseconds by
    /// which this clock was ahead. A manual clock is not changed. Processes that share records must
    /// agree on the time, because a process whose clock is ahead would treat all uploads as
    /// overdue.
    ///
    /// From then on the time passes by the monotonic clock. A change of the system clock, such as a correction after
    /// a boot, therefore has no effect.
    pub fn synchronize(&self, reference: Timestamp) -> i64 {
        if self.manual.is_some() {
            return 0;
        }
        let ahead = self.now().as_millisecond() - reference.as_millisecond();
        self.synchronized_start_ms.store(reference.as_millisecond() - self.elapsed_ms(), Ordering::SeqCst);
        ahead
    }

    /// The current time in whole milliseconds, because that is the precision of the records.
    pub fn now(&self) -> Timestamp {
        let now = match (&self.manual, self.synchronized_start_ms.load(Ordering::SeqCst)) {
            (Some(millis), _) => millis.load(Ordering::SeqCst),
            (None, NOT_SYNCHRONIZED) => Timestamp::now().as_millisecond() + self.skew_ms,
            (None, started_at) => started_at + self.elapsed_ms(),
        };
        Timestamp::from_millisecond(now).unwrap_or(Timestamp::MAX)
    }

    /// Moves a manual clock forward, for every clone. Does nothing to a system clock.
    pub fn advance(&self, by: Duration) {
        if let Some(millis) = &self.manual {
            millis.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.monotonic_start.elapsed().as_millis()).unwrap_or(i64::MAX / 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two probes may synchronise the clock at the same moment. Both set the same time. If each
    /// subtracted the clock's error instead, the error would be subtracted twice.
    #[test]
    fn two_corrections_of_a_clock_at_once_set_the_right_time() {
        let clock = Clock::with_skew(-25 * 3_600_000);
        let reference = Timestamp::now();
        assert!((-25 * 3_600_000 - clock.synchronize(reference)).abs() < 1000);
        let (clone, shown) = (clock.clone(), clock.now());
        assert!((shown.as_millisecond() - reference.as_millisecond()).abs() < 1000);
        clone.synchronize(reference);
        clone.synchronize(reference);
        assert!((clock.now().as_millisecond() - reference.as_millisecond()).abs() < 1000);
    }
}
