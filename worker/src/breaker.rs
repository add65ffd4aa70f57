//! Circuit breakers, one for each backend: while a backend fails, a worker takes no more jobs, instead of failing one after
//! the other.
//!
//! ```text
//! closed ── 3 failures in a row ─► open ── a ping succeeds ─► trial ── a job succeeds ─► closed
//!                                   ▲                           │
//!                                   └──────── a job fails ──────┘
//! ```
//!
//! An open breaker pings its backend after a pause that doubles up to 30 s. During a trial the worker runs one job at a
//! time, since a store may answer pings and refuse writes; a trial that no job decides ends with another ping after 30 s. What is not begun goes back into the queue, because another
//! worker may still reach the backend.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use upload::{Backend, Places};

/// Failures of one backend in a row after which no more jobs are taken. One or two are no outage: a cut connection fails
/// whatever is on it.
const FAILURES: u32 = 3;
/// The pause before the first ping of a failing backend; it doubles with every ping or trial that fails.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause. Jobs wait no longer than this once their backend works again.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);
/// How long a ping may take.
const ANSWER: Duration = Duration::from_secs(5);

/// The breakers of one worker. Clones share them.
#[derive(Clone, Debug)]
pub struct Breakers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    breakers: Mutex<[Breaker; Backend::ALL.len()]>,
    changed: watch::Sender<()>,
    /// Whoever holds it runs the job that tries a backend out.
    trial: Arc<Semaphore>,
}

#[derive(Clone, Copy, Debug)]
struct Breaker {
    backend: Backend,
    state: State,
    failures: u32,
    pause: Duration,
    opened: Instant,
    ping_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open,
    Trial,
}

/// Permission to begin a job; during a trial it is the only one.
#[derive(Debug)]
pub(crate) struct Permit {
    _trial: Option<OwnedSemaphorePermit>,
}

impl Default for Breakers {
    fn default() -> Self {
        let now = Instant::now();
        let closed =
            |backend| Breaker { backend, state: State::Closed, failures: 0, pause: FIRST, opened: now, ping_at: now };
        Self(Arc::new(Shared {
            breakers: Mutex::new(Backend::ALL.map(closed)),
            changed: watch::channel(()).0,
            trial: Arc::new(Semaphore::new(1)),
        }))
    }
}

impl Breakers {
    /// The backends because of which this worker takes no jobs, or only one at a time.
    pub fn failing(&self) -> Vec<Backend> {
        self.breakers().iter().filter(|breaker| breaker.state != State::Closed).map(|breaker| breaker.backend).collect()
    }

    /// Makes the gauges known before anything has failed.
    pub(crate) fn show(&self) {
        for backend in Backend::ALL {
            gauge(backend, self.failing().contains(&backend));
        }
    }

    /// Counts a job that could not be done because `backend` failed.
    pub(crate) fn failed(&self, backend: Backend, error: &str) {
        self.change(backend, |breaker| match breaker.state {
            State::Closed => {
                breaker.failures += 1;
                if breaker.failures >= FAILURES {
                    breaker.pause = FIRST;
                    breaker.opened = Instant::now();
                    breaker.open();
                    gauge(backend, true);
                    let (backend, failures) = (backend.as_str(), breaker.failures);
                    tracing::error!(
                        backend,
                        failures,
                        error,
                        "{backend} fails; no more jobs are taken until it answers"
                    );
                }
            }
            State::Trial => breaker.reopen(),
            State::Open => {}
        });
    }

    /// Notes that a job was done with the help of these backends.
    pub(crate) fn worked(&self, backends: &[Backend]) {
        for backend in backends {
            self.change(*backend, |breaker| match breaker.state {
                State::Closed => breaker.failures = 0,
                // A job that began before the backend failed says nothing about now.
                State::Open => {}
                State::Trial => breaker.close(),
            });
        }
    }

    /// Whether a backend is not to be used now.
    pub(crate) fn is_open(&self) -> bool {
        self.breakers().iter().any(|breaker| breaker.state == State::Open)
    }

    /// Returns once a backend is not to be used.
    pub(crate) async fn opened(&self) {
        self.wait_for(Self::is_open).await;
    }

    /// Returns once every backend may be used.
    pub(crate) async fn not_open(&self) {
        self.wait_for(|breakers| !breakers.is_open()).await;
    }

    /// Returns once this backend may be used.
    pub(crate) async fn usable(&self, backend: Backend) {
        let open = |breaker: &Breaker| breaker.backend == backend && breaker.state == State::Open;
        self.wait_for(|breakers| !breakers.breakers().iter().any(open)).await;
    }

    /// Permission to begin a job, waited for during a trial; None while a backend is not to be used.
    pub(crate) async fn permit(&self) -> Option<Permit> {
        let mut changes = self.0.changed.subscribe();
        loop {
            changes.mark_unchanged();
            if self.is_open() {
                return None;
            }
            if self.failing().is_empty() {
                return Some(Permit { _trial: None });
            }
            tokio::select! {
                permit = Arc::clone(&self.0.trial).acquire_owned() => {
                    if !self.is_open() {
                        return Some(Permit { _trial: permit.ok() });
                    }
                }
                _ = changes.changed() => {}
            }
        }
    }

    /// Pings failing backends whenever their pause is over. Never returns.
    pub(crate) async fn ping_failing(&self, places: &Places) {
        let mut changes = self.0.changed.subscribe();
        loop {
            changes.mark_unchanged();
            let failing: Vec<Breaker> =
                self.breakers().iter().filter(|breaker| breaker.state != State::Closed).copied().collect();
            match failing.iter().min_by_key(|breaker| breaker.ping_at) {
                None => drop(changes.changed().await),
                Some(next) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(next.ping_at) => self.ping(places, next.backend).await,
                        _ = changes.changed() => {}
                    }
                }
            }
        }
    }

    /// Pings all failing backends now.
    pub(crate) async fn ping_all(&self, places: &Places) {
        for backend in self.failing() {
            self.ping(places, backend).await;
        }
    }

    async fn ping(&self, places: &Places, backend: Backend) {
        let answered = tokio::time::timeout(ANSWER, places.ping(backend)).await.is_ok_and(|answer| answer.is_ok());
        self.pinged(backend, answered);
    }

    fn pinged(&self, backend: Backend, answered: bool) {
        self.change(backend, |breaker| match (breaker.state, answered) {
            (State::Open, true) => {
                breaker.state = State::Trial;
                breaker.ping_at = Instant::now() + LONGEST;
            }
            // No job has needed the backend for that long: it is not to keep the others waiting.
            (State::Trial, true) => breaker.close(),
            (State::Open | State::Trial, false) => breaker.reopen(),
            (State::Closed, _) => {}
        });
    }

    fn change(&self, backend: Backend, change: impl FnOnce(&mut Breaker)) {
        if let Some(breaker) = self.breakers().iter_mut().find(|breaker| breaker.backend == backend) {
            change(breaker);
        }
        self.0.changed.send_replace(());
    }

    async fn wait_for(&self, holds: impl Fn(&Self) -> bool) {
        let mut changes = self.0.changed.subscribe();
        loop {
            changes.mark_unchanged();
            if holds(self) {
                return;
            }
            changes.changed().await.ok();
        }
    }

    fn breakers(&self) -> MutexGuard<'_, [Breaker; Backend::ALL.len()]> {
        self.0.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Breaker {
    fn reopen(&mut self) {
        self.pause = (self.pause * 2).min(LONGEST);
        self.open();
    }

    fn close(&mut self) {
        (self.state, self.failures) = (State::Closed, 0);
        gauge(self.backend, false);
        let (backend, after) = (self.backend.as_str(), self.opened.elapsed());
        tracing::info!(backend, ?after, "{backend} works again; jobs are taken as usual");
    }

    fn open(&mut self) {
        self.state = State::Open;
        self.ping_at = Instant::now() + self.pause;
    }
}

fn gauge(backend: Backend, open: bool) {
    metrics::gauge!("cloakroom_circuit_breaker_open", "backend" => backend.as_str()).set(f64::from(u8::from(open)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(failures: u32) -> Breakers {
        let breakers = Breakers::default();
        for _ in 0..failures {
            breakers.failed(Backend::Blobs, "refused");
        }
        breakers
    }

    fn pause(breakers: &Breakers) -> Duration {
        breakers.breakers().iter().find(|breaker| breaker.backend == Backend::Blobs).unwrap().pause
    }

    fn answer(breakers: &Breakers) {
        breakers.pinged(Backend::Blobs, true);
    }

    #[tokio::test]
    async fn three_failures_in_a_row_open_it_and_a_success_in_between_does_not() {
        let breakers = after(2);
        assert!(breakers.permit().await.is_some() && breakers.failing().is_empty());
        breakers.worked(&[Backend::Blobs]);
        breakers.failed(Backend::Blobs, "refused");
        breakers.failed(Backend::Blobs, "refused");
        // Another backend's failure is its own.
        breakers.failed(Backend::Records, "refused");
        assert!(!breakers.is_open());
        breakers.failed(Backend::Blobs, "refused");
        assert_eq!(breakers.failing(), [Backend::Blobs]);
        assert!(breakers.permit().await.is_none());
        breakers.opened().await;
        breakers.usable(Backend::Records).await;
    }

    #[tokio::test]
    async fn a_trial_is_one_job_at_a_time_and_decides() {
        let breakers = after(3);
        answer(&breakers);
        let trial = breakers.permit().await.unwrap();
        let mut second = std::pin::pin!(breakers.permit());
        assert!(futures::poll!(&mut second).is_pending(), "one is being tried out");
        // It fails: whoever waited is sent away, and the next ping comes later.
        breakers.failed(Backend::Blobs, "full");
        assert!(second.await.is_none());
        drop(trial);
        assert_eq!(pause(&breakers), 2 * FIRST);
        // One that says nothing about the backend lets the next one try.
        answer(&breakers);
        drop(breakers.permit().await.unwrap());
        let trial = breakers.permit().await.unwrap();
        breakers.worked(&[Backend::Staging]);
        assert_eq!(breakers.failing(), [Backend::Blobs], "that was another backend");
        breakers.worked(&[Backend::Blobs]);
        assert!(breakers.failing().is_empty());
        let all = (breakers.permit().await, breakers.permit().await);
        assert!(matches!(all, (Some(_), Some(_))));
        drop(trial);
    }

    #[tokio::test]
    async fn the_pause_grows_up_to_its_limit() {
        let breakers = after(3);
        for _ in 0..10 {
            answer(&breakers);
            breakers.failed(Backend::Blobs, "full");
        }
        assert_eq!(pause(&breakers), LONGEST);
        answer(&breakers);
        breakers.worked(&[Backend::Blobs]);
        for _ in 0..3 {
            breakers.failed(Backend::Blobs, "full");
        }
        assert_eq!(pause(&breakers), FIRST, "it begins anew");
    }

    #[tokio::test]
    async fn a_trial_that_no_job_decides_ends_with_a_ping() {
        let breakers = after(3);
        answer(&breakers);
        answer(&breakers);
        assert!(breakers.failing().is_empty());
        let breakers = after(3);
        answer(&breakers);
        breakers.pinged(Backend::Blobs, false);
        assert!(breakers.is_open() && pause(&breakers) == 2 * FIRST);
    }
}
