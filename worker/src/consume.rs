//! Taking tickets: as many at a time as the settings say, each counted before it is run, each under a lease that is kept
//! up while it runs, each acknowledged once its outcome is in the records.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use upload::{
    Attempt, Deliveries, Delivery, Lane, PlaceError, Places, QueueError, Reason, RecordsError, Settled, Start, Ticket,
    Verdict,
};

use crate::outcome::{Outcome, chain};
use crate::pool::{Pool, default_budget};
use crate::pulse::Pulse;
use crate::settings::WorkerSettings;

/// The pause of a slot whose job could not even be begun, so that records that are down are not asked in a loop.
const BREATH: Duration = Duration::from_secs(1);
/// How long a consumer waits for a ticket before it shows that it is still there.
const LULL: Duration = Duration::from_secs(30);

/// Runs jobs. Clones share the decode pool.
#[derive(Clone)]
pub struct Worker {
    pub(crate) places: Places,
    pub(crate) pool: Arc<Pool>,
    pub(crate) settings: Arc<WorkerSettings>,
    pulse: Pulse,
}

impl Worker {
    /// A worker on these places. Its decode threads start now.
    pub fn new(settings: &WorkerSettings, places: Places) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if settings.worker.threads == 0 { processors } else { settings.worker.threads };
        let mut settings = settings.clone();
        if settings.worker.concurrency == 0 {
            settings.worker.concurrency = 2 * processors;
        }
        let memory = match settings.worker.memory.as_u64() {
            0 => default_budget(),
            bytes => bytes,
        };
        let pool = Arc::new(Pool::new(threads, memory));
        Self { places, pool, settings: Arc::new(settings), pulse: Pulse::default() }
    }

    /// Whether its consumers turn, for whoever watches the process.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Consumes the queues in the settings until `stop`; then lets what is under way end, and returns.
    ///
    /// # Errors
    /// Where a queue cannot be consumed at all.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), QueueError> {
        let tracker = TaskTracker::new();
        for lane in &self.settings.worker.queues {
            let prefetch = u16::try_from(self.settings.worker.concurrency).unwrap_or(u16::MAX);
            let deliveries = self.places.queue.consume(*lane, prefetch).await?;
            tracker.spawn(self.clone().consume(*lane, deliveries, stop.clone()));
        }
        tracker.close();
        tracker.wait().await;
        Ok(())
    }

    async fn consume(self, lane: Lane, mut deliveries: Deliveries, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.settings.worker.concurrency));
        let running = TaskTracker::new();
        loop {
            let next = async {
                let slot = Arc::clone(&slots).acquire_owned().await.ok()?;
                let mut next = std::pin::pin!(deliveries.next());
                loop {
                    self.pulse.beat();
                    // An empty lane is no reason to look dead, and none to begin anew with what is under way in there.
                    if let Ok(next) = tokio::time::timeout(LULL, &mut next).await {
                        return Some((slot, next?));
                    }
                }
            };
            let Some(Some((slot, delivery))) = stop.run_until_cancelled(next).await else { break };
            let worker = self.clone();
            running.spawn(async move {
                if let Err(error) = worker.take(delivery).await {
                    tracing::error!(error = chain(&error), "the records cannot be asked; the job is back in its queue");
                    tokio::time::sleep(BREATH).await;
                }
                drop(slot);
            });
        }
        // What nobody has looked at goes back at once; other workers need not wait for those that are running here.
        drop(deliveries);
        running.close();
        tracing::debug!(queue = lane.as_str(), running = running.len(), "no more jobs are taken");
        running.wait().await;
    }

    /// Runs the jobs that are there now and returns how many there were: for a test that wants to see each step.
    ///
    /// # Errors
    /// Where a queue cannot be consumed or the records cannot be asked.
    pub async fn run_what_is_there(&self) -> Result<usize, PlaceError> {
        let mut taken = 0;
        for lane in &self.settings.worker.queues {
            let mut deliveries = self.places.queue.consume(*lane, 1).await?;
            while let Some(delivery) = deliveries.try_next().await {
                self.take(delivery).await?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Runs one job and acknowledges it. Where the records could not be asked, it goes back into its queue.
    async fn take(&self, delivery: Delivery) -> Result<(), RecordsError> {
        let ticket = delivery.ticket().clone();
        let span = tracing::info_span!("job", otel.name = ticket.job.kind(), otel.kind = "consumer", kind = ticket.job.kind(),
                upload = %ticket.job.upload(), job = %ticket.id);
        if let Some(trace) = &ticket.trace {
            upload::go_on(&span, trace);
        }
        async {
            self.attempt(&ticket).await?;
            if let Err(error) = delivery.ack().await {
                tracing::warn!(%error, "the queue did not hear that a job is done; it will deliver it again");
            }
            Ok(())
        }
        .instrument(span)
        .await
    }

    /// Sees to it that the records know how the job ended, or that another attempt will be made.
    async fn attempt(&self, ticket: &Ticket) -> Result<(), RecordsError> {
        let records = &self.places.records;
        let settings = &self.settings.worker;
        let mut attempt = match records.begin_attempt(ticket, settings.lease).await? {
            Start::Run(attempt) => attempt,
            Start::Gone | Start::Busy(_) => return Ok(()),
        };
        attempt.note(records.clock().now(), "attempt", format!("number {}", attempt.number));
        let outcome = if attempt.number > settings.attempts {
            Outcome::Dead(gave_up())
        } else {
            match self.under_lease(&mut attempt).await {
                Some(outcome) => outcome,
                None => return Ok(()),
            }
        };
        let word = match &outcome {
            Outcome::Done(_) => "done",
            Outcome::Retry(_) => "retry",
            Outcome::Dead(_) => "dead",
        };
        metrics::counter!("cloakroom_jobs_total", "kind" => ticket.job.kind(), "outcome" => word).increment(1);
        match outcome {
            Outcome::Done(None) => tracing::info!("void: something else had been decided before"),
            Outcome::Done(Some(verdict)) => {
                tracing::info!(?verdict, "settled");
                self.places.queue.announce(ticket.id, verdict);
            }
            Outcome::Retry(error) if attempt.number < settings.attempts => {
                self.put_off(&attempt, &error).await?;
            }
            Outcome::Retry(error) => self.bury(&attempt, gave_up(), &error).await?,
            Outcome::Dead(reason) => self.bury(&attempt, reason.clone(), &reason.why).await?,
        }
        Ok(())
    }

    async fn put_off(&self, attempt: &Attempt, errors: &str) -> Result<(), RecordsError> {
        let delay = self.backoff(attempt.number);
        tracing::warn!(attempt = attempt.number, ?delay, errors, "will be tried again");
        if self.places.records.put_off(attempt, delay, errors).await? == Settled::Counted
            && self.places.queue.publish_later(&attempt.ticket, delay).await.is_ok()
        {
            self.places.records.note_published([attempt.ticket.id]).await?;
        }
        Ok(())
    }

    /// The sender hears the reason; `error`, the words of whatever broke, is for those who look after dead letters.
    async fn bury(&self, attempt: &Attempt, reason: Reason, error: &str) -> Result<(), RecordsError> {
        let last = attempt.last_error.as_ref().map_or_else(String::new, |error| format!("; before that: {error}"));
        let errors = format!("{}: {error}{last}", reason.code);
        tracing::error!(attempt = attempt.number, errors, "a dead letter");
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

fn gave_up() -> Reason {
    Reason::new("gave_up", "it was tried as often as it may be, and no attempt ended well")
}
