//! Running one job: counted before it is run, under a lease that is kept up while it runs, acknowledged once its outcome is
//! in the records. Which job is begun when is `dispatch`'s to say.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;
use upload::{Backend, Blobs, Delivery, Job, PlaceError, Places, Reason, Start, Ticket, Verdict};

use crate::breaker::Breakers;
use crate::outcome::{Outcome, chain};
use crate::pool::{Pool, default_budget};
use crate::pulse::Pulse;
use crate::record::{Postponed, Step, Unrecorded};
use crate::settings::WorkerSettings;

/// The pause of a slot whose job could not even be begun, so that records that are down are not asked in a loop.
pub(crate) const BREATH: Duration = Duration::from_secs(1);

/// Runs jobs. Clones share the decode pool.
#[derive(Clone)]
pub struct Worker {
    pub(crate) places: Places,
    pub(crate) pool: Arc<Pool>,
    pub(crate) settings: Arc<WorkerSettings>,
    pub(crate) pulse: Pulse,
    pub(crate) breakers: Breakers,
}

impl Worker {
    /// A worker on these places. Its decode threads start now.
    pub fn new(settings: &WorkerSettings, places: Places) -> Self {
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
        let pool = Arc::new(Pool::new(threads, memory));
        Self { places, pool, settings: Arc::new(settings), pulse: Pulse::default(), breakers: Breakers::default() }
    }

    /// Whether its consumers turn, for whoever watches the process.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Which backends keep it from working, for whoever watches the process.
    pub fn breakers(&self) -> Breakers {
        self.breakers.clone()
    }

    /// Runs the jobs that are there now and returns how many there were: for a test that wants to see each step. It stops
    /// when a backend fails, and asks that backend first when it is called again.
    ///
    /// # Errors
    /// Where a queue cannot be consumed or the records cannot be asked.
    pub async fn run_what_is_there(&self) -> Result<usize, PlaceError> {
        let mut taken = 0;
        self.breakers.ping_all(&self.places).await;
        for lane in &self.settings.worker.queues {
            let mut deliveries = self.places.queue.consume(*lane, 1).await?;
            while !self.breakers.is_open()
                && let Some(delivery) = deliveries.try_next().await
            {
                self.take(delivery).await.map_err(|unrecorded| unrecorded.error)?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Runs one job and acknowledges it. Where the records could not be asked, it goes back into its queue.
    pub(crate) async fn take(&self, delivery: Delivery) -> Result<(), Unrecorded> {
        let ticket = delivery.ticket().clone();
        let span = tracing::info_span!("job", otel.name = ticket.job.kind(), otel.kind = "consumer", kind = ticket.job.kind(),
                upload = %ticket.job.upload(), job = %ticket.id);
        if let Some(trace) = &ticket.trace {
            upload::go_on(&span, trace);
        }
        async {
            self.attempt(&ticket).await.inspect_err(|unrecorded| {
                self.breakers.failed(Backend::Records, &chain(&unrecorded.error));
                tracing::warn!(
                    error = chain(&unrecorded.error),
                    "the records do not answer; the job is back in its queue"
                );
            })?;
            match delivery.ack().await {
                Ok(()) => self.breakers.worked(&[Backend::Queue]),
                Err(error) => {
                    self.breakers.failed(Backend::Queue, &chain(&error));
                    tracing::warn!(%error, "the queue did not hear that a job is done; it will deliver it again");
                }
            }
            Ok(())
        }
        .instrument(span)
        .await
    }

    /// Sees to it that the records know how the job ended, or that another attempt will be made.
    async fn attempt(&self, ticket: &Ticket) -> Result<(), Unrecorded> {
        let records = &self.places.records;
        let settings = &self.settings.worker;
        let prefix = Blobs::prefix(ticket.job.upload());
        let mut attempt = match records.begin_attempt_under(ticket, settings.lease, &prefix).await {
            Ok(Start::Run(attempt)) => attempt,
            Ok(Start::Gone | Start::Busy(_)) => return Ok(()),
            Err(error) => return Err(Unrecorded { error, step: Step::Begin { ticket: ticket.clone(), prefix } }),
        };
        attempt.note(records.clock().now(), "attempt", format!("number {}", attempt.number));
        let outcome = if attempt.counted > settings.attempts {
            Outcome::dead(gave_up())
        } else {
            match self.under_lease(&mut attempt).await {
                Some(outcome) => outcome,
                None => return Ok(()),
            }
        };
        let word = match &outcome {
            Outcome::Done(_) => "done",
            Outcome::Postponed { .. } => "postponed",
            Outcome::Retry(_) => "retry",
            Outcome::Dead(..) => "dead",
        };
        metrics::counter!("cloakroom_jobs_total", "kind" => ticket.job.kind(), "outcome" => word).increment(1);
        match outcome {
            Outcome::Done(verdict) => {
                self.breakers.worked(used(&ticket.job, verdict.as_ref()));
                match verdict {
                    None => tracing::info!("void: something else had been decided before"),
                    Some(verdict) => {
                        tracing::info!(?verdict, "settled");
                        self.places.queue.announce(ticket.id, verdict);
                    }
                }
            }
            Outcome::Postponed { backend, error } => {
                self.breakers.failed(backend, &error);
                let postponed = Postponed { attempt, backend, error };
                if let Err(error) = self.postpone(&postponed).await {
                    return Err(Unrecorded { error, step: Step::Postpone(postponed) });
                }
            }
            Outcome::Retry(error) if attempt.counted < settings.attempts => {
                self.put_off(&attempt, &error).await?;
            }
            Outcome::Retry(error) => self.bury(&attempt, gave_up(), &error).await?,
            Outcome::Dead(reason, error) => self.bury(&attempt, reason, &error).await?,
        }
        Ok(())
    }
}

fn gave_up() -> Reason {
    Reason::new("gave_up", "it was tried as often as it may be, and no attempt ended well")
}

/// The backends without which a job could not have ended so.
fn used(job: &Job, verdict: Option<&Verdict>) -> &'static [Backend] {
    match (verdict, job.settles()) {
        (Some(Verdict::Ready), true) => &[Backend::Staging, Backend::Blobs, Backend::Records],
        (Some(Verdict::Ready), false) => &[Backend::Blobs, Backend::Records],
        (Some(Verdict::Rejected(_)), true) => &[Backend::Staging, Backend::Records],
        _ => &[Backend::Records],
    }
}
