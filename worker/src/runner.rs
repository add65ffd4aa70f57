//! Runs one job: counts the attempt first, renews the lease while the job runs, and acknowledges it once its outcome is
//! in the records. `dispatcher` decides which job begins when.

use std::sync::Arc;
use std::time::Duration;

use backends::{BackendError, Backends};
use domain::{Backend, EventKind, Job, JobMessage, Outcome, Reason, ReasonCode};
use queue::Delivery;
use records::LeaseResult;
use tracing::Instrument;

use crate::attempt_result::{AttemptResult, chain};
use crate::circuit_breaker::CircuitBreakers;
use crate::liveness::Liveness;
use crate::render_pool::{RenderPool, default_budget};
use crate::settings::WorkerSettings;
use crate::unsettled_attempt::{PendingUpdate, PostponedAttempt, UnrecordedAttempt};

/// The pause of a slot whose job could not be begun, so that unavailable records are not asked in a loop.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Runs jobs. Clones share the decode pool.
#[derive(Clone)]
pub struct Worker {
    pub(crate) backends: Backends,
    pub(crate) pool: Arc<RenderPool>,
    pub(crate) settings: Arc<WorkerSettings>,
    pub(crate) liveness: Liveness,
    pub(crate) breakers: CircuitBreakers,
}

impl Worker {
    /// A worker on these backends. Its decode threads start now.
    pub fn new(settings: &WorkerSettings, places: Backends) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if settings.worker.threads == 0 { processors } else { settings.worker.threads };
        let mut settings = settings.clone();
        if settings.worker.concurrency == 0 {
            settings.worker.concurrency = 4 * processors;
        }
        let memory = match settings.worker.memory.as_u64() {
            0 => default_budget(),
            bytes => bytes,
        };
        let pool = Arc::new(RenderPool::new(threads, memory));
        Self {
            backends: places,
            pool,
            settings: Arc::new(settings),
            liveness: Liveness::default(),
            breakers: CircuitBreakers::default(),
        }
    }

    /// Whether its consumers make progress, for a process supervisor.
    pub fn liveness(&self) -> Liveness {
        self.liveness.clone()
    }

    /// The breakers, which tell a process supervisor which backends keep the worker from working.
    pub fn breakers(&self) -> CircuitBreakers {
        self.breakers.clone()
    }

    /// Runs the jobs that are there now and returns how many there were, for a test that checks each step. It stops
    /// when a backend fails, and pings that backend first when it is called again.
    ///
    /// # Errors
    /// If a queue cannot be consumed or the records cannot be asked.
    pub async fn run_pending(&self) -> Result<usize, BackendError> {
        let mut taken = 0;
        self.breakers.ping_all(&self.backends).await;
        for lane in &self.settings.worker.queues {
            let mut deliveries = self.backends.queue.consume(*lane, 1).await?;
            while !self.breakers.any_open()
                && let Some(delivery) = deliveries.try_next().await
            {
                self.run_delivery(delivery).await.map_err(|unrecorded| unrecorded.error)?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Runs one job and acknowledges it. If the records could not be asked, the job goes back into its queue.
    pub(crate) async fn run_delivery(&self, delivery: Delivery) -> Result<(), UnrecordedAttempt> {
        let ticket = delivery.message().clone();
        let span = tracing::info_span!("job", otel.name = ticket.job.kind(), otel.kind = "consumer", kind = ticket.job.kind(),
                upload = %ticket.job.upload(), job = %ticket.id);
        if let Some(trace) = &ticket.traceparent {
            instrument::continue_trace(&span, trace);
        }
        async {
            self.run_attempt(&ticket).await.inspect_err(|unrecorded| {
                self.breakers.record_failure(Backend::Records, &chain(&unrecorded.error));
                tracing::warn!(
                    error = chain(&unrecorded.error),
                    "the records do not answer; the job is back in its queue"
                );
            })?;
            match delivery.ack().await {
                Ok(()) => self.breakers.record_success(&[Backend::Queue]),
                Err(error) => {
                    self.breakers.record_failure(Backend::Queue, &chain(&error));
                    tracing::warn!(%error, "the queue did not hear that a job is done; it will deliver it again");
                }
            }
            Ok(())
        }
        .instrument(span)
        .await
    }

    /// Ensures that the records know how the job ended, or that another attempt will be made.
    async fn run_attempt(&self, ticket: &JobMessage) -> Result<(), UnrecordedAttempt> {
        let records = &self.backends.records;
        let settings = &self.settings.worker;
        let prefix = domain::blob_keys::new_attempt_prefix(ticket.job.upload());
        let mut attempt = match records.begin_attempt_with_prefix(ticket, settings.lease, &prefix).await {
            Ok(LeaseResult::Leased(attempt)) => attempt,
            Ok(LeaseResult::Gone | LeaseResult::Busy(_)) => return Ok(()),
            Err(error) => {
                return Err(UnrecordedAttempt {
                    error,
                    pending: PendingUpdate::BeginAttempt { ticket: ticket.clone(), prefix },
                });
            }
        };
        attempt.push_event(records.clock().now(), EventKind::Attempt, format!("number {}", attempt.number));
        let outcome = if attempt.counted_attempts > settings.max_attempts {
            AttemptResult::dead(last_attempt_vanished())
        } else {
            match self.run_with_lease(&mut attempt).await {
                Some(outcome) => outcome,
                None => return Ok(()),
            }
        };
        let word = match &outcome {
            AttemptResult::Done(_) => "done",
            AttemptResult::Postponed { .. } => "postponed",
            AttemptResult::Retry(_) => "retry",
            AttemptResult::Dead(..) => "dead",
        };
        metrics::counter!("cloakroom_jobs_total", "kind" => ticket.job.kind(), "outcome" => word).increment(1);
        match outcome {
            AttemptResult::Done(verdict) => {
                self.breakers.record_success(backends_used(&ticket.job, verdict.as_ref()));
                match verdict {
                    None => tracing::info!("void: something else had been decided before"),
                    Some(verdict) => {
                        tracing::info!(?verdict, "settled");
                        self.backends.queue.publish_outcome(ticket.id, verdict);
                    }
                }
            }
            AttemptResult::Postponed { backend, error } => {
                self.breakers.record_failure(backend, &error);
                let postponed = PostponedAttempt { attempt, backend, error };
                if let Err(error) = self.postpone(&postponed).await {
                    return Err(UnrecordedAttempt { error, pending: PendingUpdate::Postpone(postponed) });
                }
            }
            AttemptResult::Retry(error) if attempt.counted_attempts < settings.max_attempts => {
                self.reschedule(&attempt, &error).await?;
            }
            AttemptResult::Retry(error) => self.mark_dead(&attempt, all_attempts_failed(), &error).await?,
            AttemptResult::Dead(reason, error) => self.mark_dead(&attempt, reason, &error).await?,
        }
        Ok(())
    }
}

/// The last attempt that counts ended with an error.
fn all_attempts_failed() -> Reason {
    Reason::new(ReasonCode::AttemptsExhausted, "all attempts to process this upload failed; ask the operator")
}

/// The last attempt that counts ended without a result: its worker crashed, or it lost its lease.
fn last_attempt_vanished() -> Reason {
    let message =
        "all attempts to process this upload were used, and the last one ended without a result; ask the operator";
    Reason::new(ReasonCode::AttemptsExhausted, message)
}

/// The backends that a job with this outcome must have used.
fn backends_used(job: &Job, verdict: Option<&Outcome>) -> &'static [Backend] {
    match (verdict, job.settles_upload()) {
        (Some(Outcome::Ready), true) => &[Backend::Staging, Backend::Blobs, Backend::Records],
        (Some(Outcome::Ready), false) => &[Backend::Blobs, Backend::Records],
        (Some(Outcome::Rejected(_)), true) => &[Backend::Staging, Backend::Records],
        _ => &[Backend::Records],
    }
}
