//! The second place: a promise of work on its way from the api to a worker.
//!
//! The queue may lose nothing it confirmed, but it may repeat: the job's row in the records decides whether a delivery
//! is still work. `memory:` is for one process and is refilled from the records when that process starts.

mod memory;
mod verdicts;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::faults::{Faults, Struck};
use crate::job::{Lane, Ticket};
use crate::secret::Secret;
use crate::{JobId, Verdict};
use memory::Memory;
use verdicts::Verdicts;
pub use verdicts::Waiting;

/// Where the queue is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// `memory:` or `amqp://user:password@host:5672/vhost`.
    pub url: Secret,
    /// What every queue and exchange of ours is called by, so that two installations can share one broker.
    #[serde(default = "prefix")]
    pub prefix: String,
}

fn prefix() -> String {
    "cloakroom".to_owned()
}

/// What can go wrong with the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The address is none we know.
    #[error("queue.url \"{0}\" cannot be opened: write memory: or amqp://user:password@host:5672/vhost")]
    Address(String),
    /// The queue is being shut down.
    #[error("the queue is closed")]
    Closed,
    /// A test made it fail.
    #[error(transparent)]
    Struck(#[from] Struck),
}

impl QueueError {
    /// Whether trying again later can help.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Address(_))
    }
}

/// The queue, opened. Clones share it.
#[derive(Clone, Debug)]
pub struct Queue {
    engine: Engine,
    verdicts: Verdicts,
    faults: Faults,
}

#[derive(Clone, Debug)]
enum Engine {
    Memory(Memory),
}

impl Queue {
    /// Opens the queue at the address in the settings.
    ///
    /// # Errors
    /// [`QueueError::Address`] where it is none we know.
    pub async fn open(settings: &QueueSettings, faults: Faults) -> Result<Self, QueueError> {
        let engine = match settings.url.expose() {
            "memory:" => Engine::Memory(Memory::default()),
            _ => return Err(QueueError::Address(settings.url.to_string())),
        };
        Ok(Self { engine, verdicts: Verdicts::default(), faults })
    }

    /// Whether what was published dies with this process, so that the records must refill it at the start.
    pub fn forgets(&self) -> bool {
        matches!(self.engine, Engine::Memory(_))
    }

    /// Puts a ticket into its lane; when this returns the queue will not lose it.
    ///
    /// # Errors
    /// Where the queue did not confirm; the relay will publish it again from the records.
    pub async fn publish(&self, ticket: &Ticket) -> Result<(), QueueError> {
        let publish = async {
            match &self.engine {
                Engine::Memory(memory) => memory.publish(ticket.clone()),
            }
        };
        self.faults.watch("queue", "publish", publish).await
    }

    /// The same, to be delivered after `delay` at the earliest.
    ///
    /// # Errors
    /// Where the queue did not confirm.
    pub async fn publish_later(&self, ticket: &Ticket, delay: Duration) -> Result<(), QueueError> {
        let publish = async {
            match &self.engine {
                Engine::Memory(memory) => memory.publish_later(ticket.clone(), delay),
            }
        };
        self.faults.watch("queue", "publish_later", publish).await
    }

    /// The deliveries of one lane, of which at most `prefetch` are in this consumer's hands at a time. Several
    /// consumers of a lane share its tickets.
    ///
    /// # Errors
    /// Where the queue cannot be reached.
    pub async fn consume(&self, lane: Lane, _prefetch: u16) -> Result<Deliveries, QueueError> {
        match &self.engine {
            // It hands a ticket to whoever asks and to nobody ahead of time, so there is nothing to bound.
            Engine::Memory(memory) => Ok(Deliveries(memory.consume(lane))),
        }
    }

    /// Begins to wait for the verdict on a job. Call it before the job can be settled, then look into the records, then
    /// wait: so no verdict falls between.
    pub fn wait_for(&self, job: JobId) -> Waiting {
        self.verdicts.wait_for(job)
    }

    /// Tells whoever waits for this job, wherever that is. Nobody waiting is the usual case; a lost word is made good
    /// by the records.
    pub fn announce(&self, job: JobId, verdict: Verdict) {
        self.verdicts.tell(job, verdict);
    }

    /// Whether the place answers.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn ping(&self) -> Result<(), QueueError> {
        match &self.engine {
            Engine::Memory(_) => Ok(()),
        }
    }
}

/// A lane's deliveries, as they come.
#[derive(Debug)]
pub struct Deliveries(memory::Deliveries);

impl Deliveries {
    /// The next delivery, waiting for it; `None` when the queue is closed. Cancel-safe: a delivery is either returned
    /// or still in the queue.
    pub async fn next(&mut self) -> Option<Delivery> {
        self.0.next().await.map(Delivery)
    }

    /// The next delivery if one is there now: for tests that drive a worker by hand.
    pub async fn try_next(&mut self) -> Option<Delivery> {
        self.0.try_next().await.map(Delivery)
    }
}

/// A ticket in a worker's hands. Dropped without [`ack`](Self::ack), it goes back into its lane.
#[derive(Debug)]
pub struct Delivery(memory::Delivery);

impl Delivery {
    /// What is to be done.
    pub fn ticket(&self) -> &Ticket {
        self.0.ticket()
    }

    /// It has been dealt with, whichever way; the queue forgets it.
    ///
    /// # Errors
    /// Where the queue did not hear; it will deliver again, and the records will say that it is done.
    pub async fn ack(self) -> Result<(), QueueError> {
        self.0.ack();
        Ok(())
    }
}
