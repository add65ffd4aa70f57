//! Renews the lease of a job while its handler makes progress, up to the job's time limit. A job that hangs is given
//! up, so that another worker can take it. The other worker may reach a backend that this one cannot.

use std::convert::Infallible;
use std::fmt::Display;
use std::time::Duration;

use instrument::ProgressTracker;
use records::Attempt;
use tokio::time::{Instant, sleep};

use crate::attempt_result::AttemptResult;
use crate::liveness::Liveness;
use crate::worker::Worker;

/// The longest that one step other than rendering may take. Such a step is a request to a store with its retries, a
/// database call, or writing a large file to a slow disk.
const MAX_STEP_TIME: Duration = Duration::from_secs(120);

/// The time limits of a lease.
#[derive(Clone, Copy, Debug)]
struct LeaseLimits {
    lease: Duration,
    /// The limit for one step.
    step_timeout: Duration,
    /// The limit for the whole attempt.
    job_timeout: Duration,
}

impl LeaseLimits {
    /// Returns a text about the limit that an attempt exceeds, or None if it is within both limits. `idle` is the time
    /// since its last progress, and `taken` is the time since it began.
    fn exceeded(&self, idle: Duration, taken: Duration) -> Option<String> {
        if idle >= self.step_timeout {
            return Some(format!("the attempt made no progress for {} s", idle.as_secs()));
        }
        (taken >= self.job_timeout)
            .then(|| format!("the attempt was not done after {} s (worker.job_timeout)", taken.as_secs()))
    }
}

/// Why a lease is no longer renewed.
#[derive(Debug, PartialEq, Eq)]
enum LeaseEnd {
    /// The job is settled, or another worker holds its lease.
    Lost,
    /// The attempt exceeded a time limit, which the text describes.
    TimedOut(String),
}

impl Worker {
    /// Runs the job's handler while renewing its lease. None if the lease was lost: the job is settled, or another
    /// worker has it. An attempt that exceeds a time limit is stopped, and its result is `Retry`.
    pub(crate) async fn run_with_lease(&self, attempt: &mut Attempt) -> Option<AttemptResult> {
        let leased = attempt.clone();
        let settings = &self.settings.worker;
        let limits = LeaseLimits {
            lease: settings.lease,
            step_timeout: settings.render_timeout + MAX_STEP_TIME,
            job_timeout: settings.job_timeout,
        };
        let renew = || self.backends.records.renew_lease(&leased, limits.lease);
        match run_while_leased(limits, &self.liveness, self.run_handler(attempt), renew).await {
            Ok(result) => Some(result),
            Err(LeaseEnd::Lost) => {
                tracing::warn!("the lease was lost, because the job is settled or another worker has it");
                None
            }
            Err(LeaseEnd::TimedOut(why)) => Some(AttemptResult::Retry(why)),
        }
    }
}

/// Runs `work` while renewing its lease. While `work` is within its limits, this function also records activity of the
/// worker. Without that, long jobs in all slots would make the worker look dead, because a job may take longer than a
/// worker may be silent.
async fn run_while_leased<T, E, F>(
    limits: LeaseLimits,
    liveness: &Liveness,
    work: impl Future<Output = T>,
    renew: impl Fn() -> F,
) -> Result<T, LeaseEnd>
where
    E: Display,
    F: Future<Output = Result<bool, E>>,
{
    let progress = ProgressTracker::default();
    tokio::select! {
        output = progress.track(work) => Ok(output),
        end = renew_until_end(limits, &progress, renew) => Err(end),
        never = record_heartbeats(limits, &progress, liveness) => match never {},
    }
}

/// Records activity of the worker again and again, as long as the attempt is within its limits. If an attempt exceeds
/// them and still runs, the worker hangs and must not count as alive.
async fn record_heartbeats(limits: LeaseLimits, progress: &ProgressTracker, liveness: &Liveness) -> Infallible {
    let started = Instant::now();
    loop {
        sleep(liveness.heartbeat_interval()).await;
        if limits.exceeded(progress.idle_time(), started.elapsed()).is_none() {
            liveness.record_activity();
        }
    }
}

/// Renews a lease until it is lost or the attempt exceeds a limit, and returns which of the two happened.
async fn renew_until_end<E, F>(limits: LeaseLimits, progress: &ProgressTracker, renew: impl Fn() -> F) -> LeaseEnd
where
    E: Display,
    F: Future<Output = Result<bool, E>>,
{
    let started = Instant::now();
    loop {
        sleep(limits.lease / 3).await;
        if let Some(why) = limits.exceeded(progress.idle_time(), started.elapsed()) {
            return LeaseEnd::TimedOut(why);
        }
        match renew().await {
            Ok(true) => {}
            Ok(false) => return LeaseEnd::Lost,
            Err(error) => tracing::warn!(%error, "the lease could not be renewed; renewing is retried"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(600);
    const SHORT: Duration = Duration::from_millis(30);
    /// Much longer than the time limits under test, because the machine may be busy.
    const TEST_TIMEOUT: Duration = Duration::from_secs(60);

    /// Runs `work` under a lease with these limits and returns how the lease ended. `work` sees the number of renewals.
    async fn run_with_limits(limits: LeaseLimits, work: impl AsyncFn(&AtomicU32)) -> Option<LeaseEnd> {
        let renewed = AtomicU32::new(0);
        let renew = || {
            renewed.fetch_add(1, Ordering::Relaxed);
            ready(Ok::<_, Infallible>(true))
        };
        let liveness = Liveness::default();
        let leased = run_while_leased(limits, &liveness, work(&renewed), renew);
        tokio::time::timeout(TEST_TIMEOUT, leased).await.expect("the lease is renewed without end").err()
    }

    /// Runs a job with these limits and returns the times of the activities that the worker recorded meanwhile. The job
    /// ends once it has seen `wanted` of these times, or after `at_most`. The records never answer a renewal.
    async fn activities_during_job(limits: LeaseLimits, wanted: usize, at_most: Duration) -> Vec<Duration> {
        let liveness = Liveness::with_heartbeat_interval(Duration::from_millis(1));
        let work = async {
            let (started, mut seen) = (Instant::now(), Vec::new());
            while seen.len() < wanted && started.elapsed() < at_most {
                sleep(Duration::from_millis(1)).await;
                let last = liveness.last_activity();
                if !last.is_zero() && seen.last() != Some(&last) {
                    seen.push(last);
                }
            }
            seen
        };
        let renew = pending::<Result<bool, Infallible>>;
        run_while_leased(limits, &liveness, work, renew).await.expect("renewing waits for the records for ever")
    }

    #[tokio::test]
    async fn a_job_within_its_limits_shows_that_its_worker_is_alive() {
        let limits = LeaseLimits { lease: LONG, step_timeout: LONG, job_timeout: LONG };
        assert_eq!(activities_during_job(limits, 3, TEST_TIMEOUT).await.len(), 3);
    }

    #[tokio::test]
    async fn a_job_past_its_limits_does_not_show_that_its_worker_is_alive() {
        for (step_timeout, job_timeout) in [(Duration::ZERO, LONG), (LONG, Duration::ZERO)] {
            let limits = LeaseLimits { lease: LONG, step_timeout, job_timeout };
            assert_eq!(activities_during_job(limits, 1, 3 * SHORT).await, Vec::<Duration>::new());
        }
    }

    #[tokio::test]
    async fn a_job_that_hangs_is_given_up() {
        let limits = LeaseLimits { lease: SHORT, step_timeout: 3 * SHORT, job_timeout: LONG };
        let end = run_with_limits(limits, async |_| pending().await).await;
        assert!(
            matches!(&end, Some(LeaseEnd::TimedOut(why)) if why.starts_with("the attempt made no progress")),
            "{end:?}"
        );
    }

    #[tokio::test]
    async fn a_job_that_makes_progress_is_kept_until_it_is_done() {
        let limits = LeaseLimits { lease: SHORT, step_timeout: 20 * SHORT, job_timeout: LONG };
        let started = Instant::now();
        let work = async |renewed: &AtomicU32| {
            while started.elapsed() < 2 * limits.step_timeout || renewed.load(Ordering::Relaxed) < 20 {
                sleep(Duration::from_millis(1)).await;
                instrument::report_progress();
            }
        };
        assert_eq!(run_with_limits(limits, work).await, None);
    }

    #[tokio::test]
    async fn a_job_that_never_ends_is_given_up_at_its_limit() {
        let limits = LeaseLimits { lease: SHORT, step_timeout: LONG, job_timeout: 3 * SHORT };
        let work = async |_: &AtomicU32| loop {
            sleep(Duration::from_millis(1)).await;
            instrument::report_progress();
        };
        let end = run_with_limits(limits, work).await;
        assert!(matches!(&end, Some(LeaseEnd::TimedOut(why)) if why.contains("worker.job_timeout")), "{end:?}");
    }

    #[tokio::test]
    async fn a_lost_lease_ends_the_job_and_a_failed_renewal_does_not() {
        let limits = LeaseLimits { lease: SHORT, step_timeout: LONG, job_timeout: LONG };
        let renewals = AtomicU32::new(0);
        let renew = || match renewals.fetch_add(1, Ordering::Relaxed) {
            0..3 => ready(Err("the records do not answer")),
            _ => ready(Ok(false)),
        };
        assert_eq!(renew_until_end(limits, &ProgressTracker::default(), renew).await, LeaseEnd::Lost);
        assert_eq!(renewals.load(Ordering::Relaxed), 4);
    }
}
