//! Writes into the records how an attempt ended, when it did not settle its upload: it is put off, postponed or buried.
//! What the records cannot be told while they are away is told once they are back.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use upload::{Attempt, Backend, Publish, Reason, RecordsError, Settled, Start, Ticket, Verdict};

use crate::breaker::LONGEST;
use crate::consume::{BREATH, Worker};
use crate::outcome::chain;

/// What the records should know of a job and could not be told.
pub(crate) struct Unrecorded {
    pub(crate) error: RecordsError,
    pub(crate) step: Step,
}

pub(crate) enum Step {
    /// Whether the attempt with this prefix has begun is not known.
    Begin { ticket: Ticket, prefix: String },
    /// The attempt does not count.
    Postpone(Postponed),
    /// How the attempt ended: it counts, and the next one ends it.
    End,
}

/// An attempt that a failing backend ended.
pub(crate) struct Postponed {
    pub(crate) attempt: Box<Attempt>,
    pub(crate) backend: Backend,
    pub(crate) error: String,
}

impl From<RecordsError> for Unrecorded {
    fn from(error: RecordsError) -> Self {
        Self { error, step: Step::End }
    }
}

impl Worker {
    /// Writes down what could not be written while the records were away, so that the attempt does not count. When the
    /// process ends before that, it counts: it may as well have crashed.
    pub(crate) async fn record_later(&self, unrecorded: Unrecorded, stop: CancellationToken) {
        loop {
            if stop.run_until_cancelled(self.breakers.usable(Backend::Records)).await.is_none() {
                return;
            }
            let Err(error) = self.record(&unrecorded).await else { return };
            self.breakers.failed(Backend::Records, &chain(&error));
            if stop.run_until_cancelled(tokio::time::sleep(BREATH)).await.is_none() {
                return;
            }
        }
    }

    async fn record(&self, unrecorded: &Unrecorded) -> Result<(), RecordsError> {
        match &unrecorded.step {
            Step::Begin { ticket, prefix } => {
                let lease = self.settings.worker.lease;
                // The attempt may have begun without an answer, and nobody works on it.
                match self.places.records.begin_attempt_under(ticket, lease, prefix).await? {
                    Start::Run(attempt) => {
                        let error = chain(&unrecorded.error);
                        self.postpone(&Postponed { attempt, backend: Backend::Records, error }).await
                    }
                    Start::Gone | Start::Busy(_) => Ok(()),
                }
            }
            Step::Postpone(postponed) => self.postpone(postponed).await,
            Step::End => Ok(()),
        }
    }

    /// The attempt does not count, and the job runs again after a pause that grows as long as backends fail it.
    pub(crate) async fn postpone(&self, postponed: &Postponed) -> Result<(), RecordsError> {
        let Postponed { attempt, backend, error } = postponed;
        let delay = self.backoff(attempt.postponed.saturating_add(1)).min(LONGEST);
        tracing::warn!(
            attempt = attempt.number,
            backend = backend.as_str(),
            ?delay,
            error,
            "a backend failed; postponed"
        );
        let publish = self.places.records.postpone(attempt, *backend, delay, error).await?;
        self.publish_again(attempt, publish, delay).await
    }

    pub(crate) async fn put_off(&self, attempt: &Attempt, errors: &str) -> Result<(), RecordsError> {
        let delay = self.backoff(attempt.counted);
        tracing::warn!(attempt = attempt.counted, ?delay, errors, "will be tried again");
        let publish = self.places.records.put_off(attempt, delay, errors).await?;
        self.publish_again(attempt, publish, delay).await
    }

    /// Where the queue does not take it, the sweeper publishes it.
    async fn publish_again(
        &self,
        attempt: &Attempt,
        publish: Option<Publish>,
        delay: Duration,
    ) -> Result<(), RecordsError> {
        let Some(publish) = publish else { return Ok(()) };
        match self.places.queue.publish_later(&attempt.ticket, delay).await {
            Ok(()) => self.places.records.note_published([publish]).await,
            Err(error) => {
                self.breakers.failed(Backend::Queue, &chain(&error));
                Ok(())
            }
        }
    }

    /// The sender hears the reason; `error`, the words of whatever broke, is for those who look after dead letters.
    pub(crate) async fn bury(&self, attempt: &Attempt, reason: Reason, error: &str) -> Result<(), RecordsError> {
        let last = attempt.last_error.as_ref().map_or_else(String::new, |error| format!("; before that: {error}"));
        let errors = format!("{}: {error}{last}", reason.code);
        tracing::error!(attempt = attempt.counted, errors, "a dead letter");
        if self.places.records.bury(attempt, &reason, &errors).await? == Settled::Counted {
            self.places.queue.announce(attempt.ticket.id, Verdict::Failed(reason));
        }
        Ok(())
    }

    /// Doubles with every attempt, up to a limit.
    fn backoff(&self, attempt: u32) -> Duration {
        let settings = &self.settings.worker;
        settings.backoff.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(settings.most_backoff)
    }
}
