//! Where time comes from. Everything that expires, waits or is late asks a [`Clock`], so that a test moves time by hand
//! instead of sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Tells the time: the system's, somebody else's by whom it goes, or a test's. Clones share it.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Milliseconds since 1970 of a clock that stands still until it is moved.
    manual: Option<Arc<AtomicI64>>,
    /// Milliseconds by which the system's is wrong, in a test.
    skew_ms: i64,
    /// A moment of the clock that nobody can set.
    monotonic_start: Instant,
    /// Milliseconds since 1970 at that moment, by the clock that this one goes by; [`NOT_SYNCHRONIZED`] while it goes by none.
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
    /// The machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that shows `start` until [`advance`](Self::advance) moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self { manual: Some(Arc::new(AtomicI64::new(start.as_millisecond()))), ..Self::default() }
    }

    /// A machine's clock that is wrong by `millis`, until it is corrected.
    pub fn with_skew(millis: i64) -> Self {
        Self { skew_ms: millis, ..Self::default() }
    }

    /// Goes by somebody else's clock, which shows `reference` now: processes that share records must agree on the time, or
    /// one that is ahead would call everybody's uploads overdue. Returns by how many milliseconds this one was ahead.
    /// A manual clock is right by definition.
    ///
    /// From here on the time passes as the processor counts it: what is done to the system's clock, such as putting it
    /// right after a boot, is no reason for an hour to have passed.
    pub(crate) fn synchronize(&self, reference: Timestamp) -> i64 {
        if self.manual.is_some() {
            return 0;
        }
        let ahead = self.now().as_millisecond() - reference.as_millisecond();
        self.synchronized_start_ms.store(reference.as_millisecond() - self.elapsed_ms(), Ordering::SeqCst);
        ahead
    }

    /// Now, to the millisecond: the precision of the records.
    pub fn now(&self) -> Timestamp {
        let now = match (&self.manual, self.synchronized_start_ms.load(Ordering::SeqCst)) {
            (Some(millis), _) => millis.load(Ordering::SeqCst),
            (None, NOT_SYNCHRONIZED) => Timestamp::now().as_millisecond() + self.skew_ms,
            (None, started_at) => started_at + self.elapsed_ms(),
        };
        Timestamp::from_millisecond(now).unwrap_or(Timestamp::MAX)
    }

    /// Moves a manual clock forward, for every clone of it. The system's clock is not ours to move: nothing happens.
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

    /// As when two probes ask at once: each sets the same, where each would have subtracted the same once more.
    #[test]
    fn a_clock_may_be_corrected_twice_at_once() {
        let clock = Clock::with_skew(-25 * 3_600_000);
        let truth = Timestamp::now();
        assert!((-25 * 3_600_000 - clock.synchronize(truth)).abs() < 1000);
        let (again, asked) = (clock.clone(), clock.now());
        assert!((asked.as_millisecond() - truth.as_millisecond()).abs() < 1000);
        again.synchronize(truth);
        again.synchronize(truth);
        assert!((clock.now().as_millisecond() - truth.as_millisecond()).abs() < 1000);
    }
}
