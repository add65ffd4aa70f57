//! Circuit breakers, one for each backend. While a backend fails, a worker takes no more jobs, because each of them
//! would fail as well.
//!
//! ```text
//! closed ── 3 failures in a row ─► open ── a ping succeeds ─► trial ── a job succeeds ─► closed
//!                                   ▲                           │
//!                                   └──────── a job fails ──────┘
//! ```
//!
//! An open breaker pings its backend after a pause that doubles up to 30 s. During a trial the worker runs one job at a
//! time, because a store may answer pings and refuse writes. If no job decides a trial within 30 s, another ping
//! decides it. When a breaker opens, jobs that have not begun go back into the queue, because another worker may still
//! reach the backend.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backends::Backends;
use domain::Backend;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

/// Consecutive failures of one backend after which no more jobs are taken. One or two failures do not prove an outage,
/// because a connection that breaks makes every request on it fail.
const FAILURE_THRESHOLD: u32 = 3;
/// The pause before the first ping of a failing backend. It doubles with every ping or trial that fails.
const INITIAL_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause before a ping. Jobs wait at most this long after their backend works again.
pub(crate) const MAX_PAUSE: Duration = Duration::from_secs(30);
/// How long a ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// The breakers of one worker. Clones share them.
#[derive(Clone, Debug)]
pub struct CircuitBreakers(Arc<BreakersInner>);

#[derive(Debug)]
struct BreakersInner {
    breakers: Mutex<[CircuitBreaker; Backend::ALL.len()]>,
    changed: watch::Sender<()>,
    /// The permit for the single job that runs during a trial.
    trial_slot: Arc<Semaphore>,
}

#[derive(Clone, Copy, Debug)]
struct CircuitBreaker {
    backend: Backend,
    state: BreakerState,
    consecutive_failures: u32,
    pause: Duration,
    opened_at: Instant,
    ping_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BreakerState {
    Closed,
    Open,
    /// The trial: a ping has succeeded, and the result of a job or of another ping decides.
    HalfOpen,
}

/// A permit to begin a job. During a trial only one permit exists at a time.
#[derive(Debug)]
pub(crate) struct JobPermit {
    _trial: Option<OwnedSemaphorePermit>,
}

impl Default for CircuitBreakers {
    fn default() -> Self {
        let now = Instant::now();
        let closed = |backend| CircuitBreaker {
            backend,
            state: BreakerState::Closed,
            consecutive_failures: 0,
            pause: INITIAL_PAUSE,
            opened_at: now,
            ping_at: now,
        };
        Self(Arc::new(BreakersInner {
            breakers: Mutex::new(Backend::ALL.map(closed)),
            changed: watch::channel(()).0,
            trial_slot: Arc::new(Semaphore::new(1)),
        }))
    }
}

impl CircuitBreakers {
    /// The backends that keep this worker from taking jobs, or limit it to one job at a time.
    pub fn failing(&self) -> Vec<Backend> {
        self.lock()
            .iter()
            .filter(|breaker| breaker.state != BreakerState::Closed)
            .map(|breaker| breaker.backend)
            .collect()
    }

    /// Sets the gauge of every breaker, so that the gauges exist before the first failure.
    pub(crate) fn publish_gauges(&self) {
        for backend in Backend::ALL {
            set_open_gauge(backend, self.failing().contains(&backend));
        }
    }

    /// Records that a job could not be done because `backend` failed. Opens the breaker at the third failure in a row,
    /// or at the first one during a trial.
    pub(crate) fn record_failure(&self, backend: Backend, error: &str) {
        self.update(backend, |breaker| match breaker.state {
            BreakerState::Closed => {
                breaker.consecutive_failures += 1;
                if breaker.consecutive_failures >= FAILURE_THRESHOLD {
                    breaker.pause = INITIAL_PAUSE;
                    breaker.opened_at = Instant::now();
                    breaker.open();
                    set_open_gauge(backend, true);
                    let (backend, failures) = (backend.as_str(), breaker.consecutive_failures);
                    tracing::error!(
                        backend,
                        failures,
                        error,
                        "the backend {backend} fails; no more jobs are begun until it answers"
                    );
                }
            }
            BreakerState::HalfOpen => breaker.reopen(),
            BreakerState::Open => {}
        });
    }

    /// Records that a job which used these backends is done. Resets their failure counts and ends their trials.
    pub(crate) fn record_success(&self, backends: &[Backend]) {
        for backend in backends {
            self.update(*backend, |breaker| match breaker.state {
                BreakerState::Closed => breaker.consecutive_failures = 0,
                // A job that began before the backend failed says nothing about its present state.
                BreakerState::Open => {}
                BreakerState::HalfOpen => breaker.close(),
            });
        }
    }

    /// Whether at least one breaker is open.
    pub(crate) fn any_open(&self) -> bool {
        self.lock().iter().any(|breaker| breaker.state == BreakerState::Open)
    }

    /// Returns once a breaker is open.
    pub(crate) async fn wait_until_any_open(&self) {
        self.wait_for(Self::any_open).await;
    }

    /// Returns once no breaker is open.
    pub(crate) async fn wait_until_none_open(&self) {
        self.wait_for(|breakers| !breakers.any_open()).await;
    }

    /// Returns once the breaker of this backend is not open.
    pub(crate) async fn wait_until_usable(&self, backend: Backend) {
        let open = |breaker: &CircuitBreaker| breaker.backend == backend && breaker.state == BreakerState::Open;
        self.wait_for(|breakers| !breakers.lock().iter().any(open)).await;
    }

    /// Returns a permit to begin a job, or None while a breaker is open. Waits only during a trial, in which one job
    /// runs at a time.
    pub(crate) async fn acquire_permit(&self) -> Option<JobPermit> {
        let mut changes = self.0.changed.subscribe();
        loop {
            changes.mark_unchanged();
            if self.any_open() {
                return None;
            }
            if self.failing().is_empty() {
                return Some(JobPermit { _trial: None });
            }
            tokio::select! {
                permit = Arc::clone(&self.0.trial_slot).acquire_owned() => {
                    if !self.any_open() {
                        return Some(JobPermit { _trial: permit.ok() });
                    }
                }
                _ = changes.changed() => {}
            }
        }
    }

    /// Pings failing backends whenever their pause is over. Never returns.
    pub(crate) async fn ping_failing(&self, backends: &Backends) {
        let mut changes = self.0.changed.subscribe();
        loop {
            changes.mark_unchanged();
            let failing: Vec<CircuitBreaker> =
                self.lock().iter().filter(|breaker| breaker.state != BreakerState::Closed).copied().collect();
            match failing.iter().min_by_key(|breaker| breaker.ping_at) {
                None => drop(changes.changed().await),
                Some(next) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(next.ping_at) => self.ping(backends, next.backend).await,
                        _ = changes.changed() => {}
                    }
                }
            }
        }
    }

    /// Pings all failing backends now.
    pub(crate) async fn ping_all(&self, backends: &Backends) {
        for backend in self.failing() {
            self.ping(backends, backend).await;
        }
    }

    async fn ping(&self, backends: &Backends, backend: Backend) {
        let answered =
            tokio::time::timeout(PING_TIMEOUT, backends.ping(backend)).await.is_ok_and(|answer| answer.is_ok());
        self.record_ping(backend, answered);
    }

    fn record_ping(&self, backend: Backend, answered: bool) {
        self.update(backend, |breaker| match (breaker.state, answered) {
            (BreakerState::Open, true) => {
                breaker.state = BreakerState::HalfOpen;
                breaker.ping_at = Instant::now() + MAX_PAUSE;
            }
            // No job has decided the trial since the last ping, so the trial must not delay other jobs any longer.
            (BreakerState::HalfOpen, true) => breaker.close(),
            (BreakerState::Open | BreakerState::HalfOpen, false) => breaker.reopen(),
            (BreakerState::Closed, _) => {}
        });
    }

    fn update(&self, backend: Backend, change: impl FnOnce(&mut CircuitBreaker)) {
        if let Some(breaker) = self.lock().iter_mut().find(|breaker| breaker.backend == backend) {
            change(breaker);
        }
        self.0.changed.send_replace(());
    }

    async fn wait_for(&self, condition: impl Fn(&Self) -> bool) {
        let mut changes = self.0.changed.subscribe();
        loop {
            changes.mark_unchanged();
            if condition(self) {
                return;
            }
            changes.changed().await.ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, [CircuitBreaker; Backend::ALL.len()]> {
        self.0.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CircuitBreaker {
    fn reopen(&mut self) {
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        self.open();
    }

    fn close(&mut self) {
        (self.state, self.consecutive_failures) = (BreakerState::Closed, 0);
        set_open_gauge(self.backend, false);
        let (backend, after) = (self.backend.as_str(), self.opened_at.elapsed());
        tracing::info!(backend, ?after, "the backend {backend} works again; jobs are begun as usual");
    }

    fn open(&mut self) {
        self.state = BreakerState::Open;
        self.ping_at = Instant::now() + self.pause;
    }
}

fn set_open_gauge(backend: Backend, open: bool) {
    metrics::gauge!("cloakroom_circuit_breaker_open", "backend" => backend.as_str()).set(f64::from(u8::from(open)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breakers_after_failures(failures: u32) -> CircuitBreakers {
        let breakers = CircuitBreakers::default();
        for _ in 0..failures {
            breakers.record_failure(Backend::Blobs, "refused");
        }
        breakers
    }

    fn pause(breakers: &CircuitBreakers) -> Duration {
        breakers.lock().iter().find(|breaker| breaker.backend == Backend::Blobs).unwrap().pause
    }

    fn ping_succeeds(breakers: &CircuitBreakers) {
        breakers.record_ping(Backend::Blobs, true);
    }

    #[tokio::test]
    async fn three_failures_in_a_row_open_a_breaker_and_a_success_in_between_resets_the_count() {
        let breakers = breakers_after_failures(2);
        assert!(breakers.acquire_permit().await.is_some() && breakers.failing().is_empty());
        breakers.record_success(&[Backend::Blobs]);
        breakers.record_failure(Backend::Blobs, "refused");
        breakers.record_failure(Backend::Blobs, "refused");
        // A failure of another backend does not count for this one.
        breakers.record_failure(Backend::Records, "refused");
        assert!(!breakers.any_open());
        breakers.record_failure(Backend::Blobs, "refused");
        assert_eq!(breakers.failing(), [Backend::Blobs]);
        assert!(breakers.acquire_permit().await.is_none());
        breakers.wait_until_any_open().await;
        breakers.wait_until_usable(Backend::Records).await;
    }

    #[tokio::test]
    async fn a_trial_runs_one_job_at_a_time_and_its_result_decides() {
        let breakers = breakers_after_failures(3);
        ping_succeeds(&breakers);
        let trial = breakers.acquire_permit().await.unwrap();
        let mut second = std::pin::pin!(breakers.acquire_permit());
        assert!(futures::poll!(&mut second).is_pending(), "one job runs the trial");
        // The job fails: a task that waits for the permit gets none, and the next ping comes later.
        breakers.record_failure(Backend::Blobs, "full");
        assert!(second.await.is_none());
        drop(trial);
        assert_eq!(pause(&breakers), 2 * INITIAL_PAUSE);
        // If a job ends without a result for the backend, the next job runs the trial.
        ping_succeeds(&breakers);
        drop(breakers.acquire_permit().await.unwrap());
        let trial = breakers.acquire_permit().await.unwrap();
        breakers.record_success(&[Backend::Staging]);
        assert_eq!(breakers.failing(), [Backend::Blobs], "a success at another backend does not count");
        breakers.record_success(&[Backend::Blobs]);
        assert!(breakers.failing().is_empty());
        let permits = (breakers.acquire_permit().await, breakers.acquire_permit().await);
        assert!(matches!(permits, (Some(_), Some(_))));
        drop(trial);
    }

    #[tokio::test]
    async fn the_pause_grows_up_to_its_limit() {
        let breakers = breakers_after_failures(3);
        for _ in 0..10 {
            ping_succeeds(&breakers);
            breakers.record_failure(Backend::Blobs, "full");
        }
        assert_eq!(pause(&breakers), MAX_PAUSE);
        ping_succeeds(&breakers);
        breakers.record_success(&[Backend::Blobs]);
        for _ in 0..3 {
            breakers.record_failure(Backend::Blobs, "full");
        }
        assert_eq!(pause(&breakers), INITIAL_PAUSE, "the pause begins again at its shortest");
    }

    #[tokio::test]
    async fn a_trial_that_no_job_decides_ends_with_a_ping() {
        let breakers = breakers_after_failures(3);
        ping_succeeds(&breakers);
        ping_succeeds(&breakers);
        assert!(breakers.failing().is_empty());
        let breakers = breakers_after_failures(3);
        ping_succeeds(&breakers);
        breakers.record_ping(Backend::Blobs, false);
        assert!(breakers.any_open() && pause(&breakers) == 2 * INITIAL_PAUSE);
    }
}
