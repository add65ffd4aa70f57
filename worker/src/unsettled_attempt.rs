//! Records how an attempt ended if it did not settle its upload: rescheduled, postponed or marked dead. An update that
//! fails because the records are unavailable is written once they are back.

use std::time::Duration;

use domain::{Backend, JobMessage, Outcome, Reason};
use records::{Attempt, LeaseResult, PublishAttempt, RecordsError, SettleResult};
use tokio_util::sync::CancellationToken;

use crate::attempt_result::chain;
use crate::circuit_breaker::MAX_PAUSE;
use crate::worker::Worker;

/// The pause after an update that could not be written, so that unavailable records are not asked in a loop.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// An update of a job that could not be written to the records.
pub(crate) struct UnrecordedAttempt {
    pub(crate) error: RecordsError,
    pub(crate) pending: PendingUpdate,
}

pub(crate) enum PendingUpdate {
    /// It is not known whether the attempt with this prefix has begun.
    BeginAttempt { message: JobMessage, prefix: String },
    /// The attempt does not count.
    Postpone(PostponedAttempt),
    /// The end of the attempt is never recorded. The attempt counts, and another one begins when the lease ends.
    CountAttempt,
}

/// An attempt that a failing backend ended.
pub(crate) struct PostponedAttempt {
    pub(crate) attempt: Box<Attempt>,
    pub(crate) backend: Backend,
    pub(crate) error: String,
}

impl From<RecordsError> for UnrecordedAttempt {
    fn from(error: RecordsError) -> Self {
        Self { error, pending: PendingUpdate::CountAttempt }
    }
}

impl Worker {
    /// Writes the pending update once the records are available, so that the attempt does not count. If the process
    /// ends before that, the attempt counts, as it does after a crash.
    pub(crate) async fn record_when_available(&self, unrecorded: UnrecordedAttempt, stop: CancellationToken) {
        loop {
            if stop.run_until_cancelled(self.breakers.wait_until_usable(Backend::Records)).await.is_none() {
                return;
            }
            let Err(error) = self.apply_pending(&unrecorded).await else { return };
            self.breakers.record_failure(Backend::Records, &chain(&error));
            if stop.run_until_cancelled(tokio::time::sleep(RETRY_PAUSE)).await.is_none() {
                return;
            }
        }
    }

    async fn apply_pending(&self, unrecorded: &UnrecordedAttempt) -> Result<(), RecordsError> {
        match &unrecorded.pending {
            PendingUpdate::BeginAttempt { message, prefix } => {
                let lease = self.settings.worker.lease;
                // The attempt may have begun although no answer came, and no worker runs it.
                match self.backends.records.begin_attempt_with_prefix(message, lease, prefix).await? {
                    LeaseResult::Leased(attempt) => {
                        let error = chain(&unrecorded.error);
                        self.postpone(&PostponedAttempt { attempt, backend: Backend::Records, error }).await
                    }
                    LeaseResult::Gone | LeaseResult::Busy(_) => Ok(()),
                }
            }
            PendingUpdate::Postpone(postponed) => self.postpone(postponed).await,
            PendingUpdate::CountAttempt => Ok(()),
        }
    }

    /// Records that the attempt does not count. The job runs again after a pause that grows while backends keep
    /// failing.
    pub(crate) async fn postpone(&self, postponed: &PostponedAttempt) -> Result<(), RecordsError> {
        let PostponedAttempt { attempt, backend, error } = postponed;
        let delay = self.retry_delay(attempt.postponements.saturating_add(1)).min(MAX_PAUSE);
        tracing::warn!(
            attempt = attempt.number,
            backend = backend.as_str(),
            ?delay,
            error,
            "the attempt is postponed and does not count, because a backend failed"
        );
        let publish = self.backends.records.postpone(attempt, *backend, delay, error).await?;
        self.republish(attempt, publish, delay).await
    }

    pub(crate) async fn reschedule(&self, attempt: &Attempt, errors: &str) -> Result<(), RecordsError> {
        let delay = self.retry_delay(attempt.counted_attempts);
        tracing::warn!(
            attempt = attempt.counted_attempts,
            ?delay,
            errors,
            "the attempt failed; the job will be retried"
        );
        let publish = self.backends.records.reschedule(attempt, delay, errors).await?;
        self.republish(attempt, publish, delay).await
    }

    /// Publishes the job message again. If the queue does not take it, the sweeper publishes it.
    async fn republish(
        &self,
        attempt: &Attempt,
        publish: Option<PublishAttempt>,
        delay: Duration,
    ) -> Result<(), RecordsError> {
        let Some(publish) = publish else { return Ok(()) };
        match self.backends.queue.publish_delayed(&attempt.message, delay).await {
            Ok(()) => self.backends.records.confirm_published([publish]).await,
            Err(error) => {
                self.breakers.record_failure(Backend::Queue, &chain(&error));
                Ok(())
            }
        }
    }

    /// Marks the job dead. The client gets `reason`; `error`, the text of the failed component, is for operators.
    pub(crate) async fn mark_dead(&self, attempt: &Attempt, reason: Reason, error: &str) -> Result<(), RecordsError> {
        let last = attempt.last_error.as_ref().map_or_else(String::new, |error| format!("; before that: {error}"));
        let errors = format!("{}: {error}{last}", reason.code);
        if self.backends.records.mark_dead(attempt, &reason, &errors).await? != SettleResult::Applied {
            // The upload was deleted or has expired, and with it the job. Its bytes may have gone during the attempt.
            tracing::info!(errors, "the attempt failed, which changes nothing, because the job has ended");
            return Ok(());
        }
        tracing::error!(
            attempt = attempt.counted_attempts,
            errors,
            "the job is dead: it will not be retried; see `cloakroom jobs show`"
        );
        self.backends.queue.publish_outcome(attempt.message.id, Outcome::Failed(reason));
        Ok(())
    }

    /// The delay before the next attempt. It doubles with every attempt, up to a limit.
    fn retry_delay(&self, attempt: u32) -> Duration {
        let settings = &self.settings.worker;
        settings.initial_backoff.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(settings.max_backoff)
    }
}
