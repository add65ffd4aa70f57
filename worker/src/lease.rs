//! Keeps the lease of a job while its handler makes progress, and no longer than a job may take. A job that hangs is given
//! up here, so that another worker, which may reach what this one cannot, takes it up.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use upload::{Attempt, Job, Progress};

use crate::consume::Worker;
use crate::outcome::Outcome;

/// The longest that one step beside rendering may take: a request to a store with its repetitions, a call to the records, or
/// a large file written to a slow disk.
const STEP: Duration = Duration::from_secs(120);

/// How long a job is kept.
#[derive(Clone, Copy, Debug)]
struct Limits {
    lease: Duration,
    /// For one step.
    step: Duration,
    /// For the whole attempt.
    job: Duration,
}

/// Why a job is kept no longer.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It has been settled, or is another worker's.
    Lost,
    /// It hangs, or takes too long.
    GivenUp(String),
}

impl Worker {
    /// Runs the job's handler while keeping its lease. None when the lease was lost: then it is another worker's.
    pub(crate) async fn under_lease(&self, attempt: &mut Attempt) -> Option<Outcome> {
        let leased = attempt.clone();
        let progress = Progress::default();
        let handler = progress.watch(async {
            let done = match attempt.ticket.job.clone() {
                Job::ProcessPicture { .. } => self.process(attempt).await,
                Job::ProcessRendition { .. } | Job::ProcessFile { .. } => self.keep(attempt).await,
                Job::MakeVariant { generation, variant, .. } => self.make_variant(attempt, generation, variant).await,
            };
            // What ended it early is its outcome as well.
            done.unwrap_or_else(|outcome| outcome)
        });
        let settings = &self.settings.worker;
        let limits = Limits { lease: settings.lease, step: settings.render_time + STEP, job: settings.job_time };
        let kept = keep(limits, &progress, || self.places.records.renew_lease(&leased, limits.lease));
        tokio::select! {
            outcome = handler => Some(outcome),
            end = kept => match end {
                End::Lost => {
                    tracing::warn!("the lease was lost; the job is another worker's or settled");
                    None
                }
                End::GivenUp(why) => Some(Outcome::Retry(why)),
            }
        }
    }
}

/// Renews a lease until there is a reason not to.
async fn keep<E, F>(limits: Limits, progress: &Progress, renew: impl Fn() -> F) -> End
where
    E: Display,
    F: Future<Output = Result<bool, E>>,
{
    let begun = Instant::now();
    loop {
        sleep(limits.lease / 3).await;
        let (idle, taken) = (progress.idle(), begun.elapsed());
        if idle >= limits.step {
            return End::GivenUp(format!("it made no progress for {} s", idle.as_secs()));
        }
        if taken >= limits.job {
            return End::GivenUp(format!("it was not done after {} s (worker.job_time)", taken.as_secs()));
        }
        match renew().await {
            Ok(true) => {}
            Ok(false) => return End::Lost,
            Err(error) => tracing::warn!(%error, "the lease could not be renewed this time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::ready;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(600);
    const SHORT: Duration = Duration::from_millis(30);
    /// Much longer than what is under test, for a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Keeps the lease of this work, which is told how often it was renewed, and returns how that ended.
    async fn kept(limits: Limits, work: impl AsyncFn(&AtomicU32)) -> Option<End> {
        let (progress, renewed) = (Progress::default(), AtomicU32::new(0));
        let renew = || {
            renewed.fetch_add(1, Ordering::Relaxed);
            ready(Ok::<_, Infallible>(true))
        };
        let kept = async {
            tokio::select! {
                () = progress.watch(work(&renewed)) => None,
                end = keep(limits, &progress, renew) => Some(end),
            }
        };
        tokio::time::timeout(PATIENCE, kept).await.expect("it is kept without end")
    }

    #[tokio::test]
    async fn a_job_that_hangs_is_given_up() {
        let limits = Limits { lease: SHORT, step: 3 * SHORT, job: LONG };
        let end = kept(limits, async |_| std::future::pending().await).await;
        assert!(matches!(&end, Some(End::GivenUp(why)) if why.starts_with("it made no progress")), "{end:?}");
    }

    #[tokio::test]
    async fn a_job_that_makes_progress_is_kept_until_it_is_done() {
        let limits = Limits { lease: SHORT, step: 20 * SHORT, job: LONG };
        let begun = Instant::now();
        let work = async |renewed: &AtomicU32| {
            while begun.elapsed() < 2 * limits.step || renewed.load(Ordering::Relaxed) < 20 {
                sleep(Duration::from_millis(1)).await;
                upload::made_progress();
            }
        };
        assert_eq!(kept(limits, work).await, None);
    }

    #[tokio::test]
    async fn a_job_that_never_ends_is_given_up_at_its_limit() {
        let limits = Limits { lease: SHORT, step: LONG, job: 3 * SHORT };
        let work = async |_: &AtomicU32| loop {
            sleep(Duration::from_millis(1)).await;
            upload::made_progress();
        };
        let end = kept(limits, work).await;
        assert!(matches!(&end, Some(End::GivenUp(why)) if why.contains("worker.job_time")), "{end:?}");
    }

    #[tokio::test]
    async fn records_that_do_not_answer_end_nothing_and_a_lost_lease_does() {
        let limits = Limits { lease: SHORT, step: LONG, job: LONG };
        let asked = AtomicU32::new(0);
        let renew = || match asked.fetch_add(1, Ordering::Relaxed) {
            0..3 => ready(Err("the records are away")),
            _ => ready(Ok(false)),
        };
        assert_eq!(keep(limits, &Progress::default(), renew).await, End::Lost);
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    }
}
