//! Runs one job: counts the attempt first, renews the lease while the job runs, and acknowledges the delivery once
//! the outcome is in the records. `dispatcher` decides which job begins when.

use backends::BackendError;
use domain::{Backend, EventKind, Job, JobMessage, Outcome, Reason, ReasonCode};
use queue::Delivery;
use records::LeaseResult;
use tracing::Instrument;

use crate::attempt_result::{AttemptResult, chain};
use crate::unsettled_attempt::{PendingUpdate, PostponedAttempt, UnrecordedAttempt};
use crate::worker::Worker;

impl Worker {
    /// Runs the jobs that are in the queues now and returns their number, for a test that checks each step. It stops
    /// when a backend fails. The next call pings that backend first.
    ///
    /// # Errors
    /// If the records cannot be asked.
    pub async fn run_pending(&self) -> Result<usize, BackendError> {
        let mut count = 0;
        self.breakers.ping_all(&self.backends).await;
        for queue in &self.settings.worker.queues {
            let mut deliveries = self.backends.queue.consume(*queue, 1);
            while !self.breakers.any_open()
                && let Some(delivery) = deliveries.try_next().await
            {
                self.run_delivery(delivery).await.map_err(|unrecorded| unrecorded.error)?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Runs one job and acknowledges its delivery. If the records could not be asked, the job goes back into its queue.
    pub(crate) async fn run_delivery(&self, delivery: Delivery) -> Result<(), UnrecordedAttempt> {
        let message = delivery.message().clone();
        let span = tracing::info_span!("job", otel.name = message.job.kind(), otel.kind = "consumer", kind = message.job.kind(),
                upload = %message.job.upload(), job = %message.id);
        if let Some(trace) = &message.traceparent {
            instrument::continue_trace(&span, trace);
        }
        async {
            self.run_attempt(&message).await.inspect_err(|unrecorded| {
                self.breakers.record_failure(Backend::Records, &chain(&unrecorded.error));
                tracing::warn!(
                    error = chain(&unrecorded.error),
                    "the records do not answer; the job goes back to its queue"
                );
            })?;
            match delivery.ack().await {
                Ok(()) => self.breakers.record_success(&[Backend::Queue]),
                Err(error) => {
                    self.breakers.record_failure(Backend::Queue, &chain(&error));
                    tracing::warn!(%error, "a finished job could not be acknowledged; the queue delivers it again, which changes nothing");
                }
            }
            Ok(())
        }
        .instrument(span)
        .await
    }

    /// Makes one attempt at the job. Afterwards the records know how the job ended, or another attempt will be made.
    async fn run_attempt(&self, message: &JobMessage) -> Result<(), UnrecordedAttempt> {
        let records = &self.backends.records;
        let settings = &self.settings.worker;
        let prefix = domain::blob_keys::new_attempt_prefix(message.job.upload());
        let mut attempt = match records.begin_attempt_with_prefix(message, settings.lease, &prefix).await {
            Ok(LeaseResult::Leased(attempt)) => attempt,
            Ok(LeaseResult::Gone | LeaseResult::Busy(_)) => return Ok(()),
            Err(error) => {
                return Err(UnrecordedAttempt {
                    error,
                    pending: PendingUpdate::BeginAttempt { message: message.clone(), prefix },
                });
            }
        };
        attempt.push_event(records.clock().now(), EventKind::Attempt, format!("number {}", attempt.number));
        let result = if attempt.counted_attempts > settings.max_attempts {
            AttemptResult::dead(last_attempt_vanished())
        } else {
            match self.run_with_lease(&mut attempt).await {
                Some(result) => result,
                None => return Ok(()),
            }
        };
        let label = match &result {
            AttemptResult::Done(_) => "done",
            AttemptResult::Postponed { .. } => "postponed",
            AttemptResult::Retry(_) => "retry",
            AttemptResult::Dead(..) => "dead",
        };
        metrics::counter!("cloakroom_jobs_total", "kind" => message.job.kind(), "outcome" => label).increment(1);
        match result {
            AttemptResult::Done(outcome) => {
                self.breakers.record_success(backends_used(&message.job, outcome.as_ref()));
                match outcome {
                    None => tracing::info!("the attempt changed nothing, because the upload was settled before"),
                    Some(outcome) => {
                        tracing::info!(%outcome, "settled");
                        self.backends.queue.publish_outcome(message.id, outcome);
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

/// The reason for clients if the last attempt that counts ended with an error.
fn all_attempts_failed() -> Reason {
    Reason::new(ReasonCode::AttemptsExhausted, "all attempts to process this upload failed; ask the operator")
}

/// The reason for clients if the last attempt that counts ended without a result: its worker crashed or lost the lease.
fn last_attempt_vanished() -> Reason {
    let message =
        "all attempts to process this upload were used, and the last one ended without a result; ask the operator";
    Reason::new(ReasonCode::AttemptsExhausted, message)
}

/// The backends that a job with this outcome must have used.
fn backends_used(job: &Job, outcome: Option<&Outcome>) -> &'static [Backend] {
    match (outcome, job.settles_upload()) {
        (Some(Outcome::Ready), true) => &[Backend::Staging, Backend::Blobs, Backend::Records],
        (Some(Outcome::Ready), false) => &[Backend::Blobs, Backend::Records],
        (Some(Outcome::Rejected(_)), true) => &[Backend::Staging, Backend::Records],
        _ => &[Backend::Records],
    }
}
