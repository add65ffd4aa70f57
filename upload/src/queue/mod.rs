//! The second place: a promise of work on its way from the api to a worker.
//!
//! The queue may lose nothing it confirmed, but it may repeat: the job's row in the records decides whether a delivery
//! is still work. `memory:` is for one process and is refilled from the records when that process starts.

mod memory;
mod outcome_waiters;
mod rabbitmq;

use std::time::Duration;

use futures::future::join_all;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as human;
use serde::{Deserialize, Serialize};

use crate::error_chain::chain;
use crate::fault_injection::{FailPoints, InjectedFault};
use crate::invalid_setting::InvalidSetting;
use crate::job::{JobMessage, QueueName, Routing};
use crate::secret::Secret;
use crate::{JobId, Outcome};
use memory::MemoryQueue;
pub use outcome_waiters::OutcomeWaiter;
use outcome_waiters::OutcomeWaiters;
use rabbitmq::RabbitMq;

/// Where the queue is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// `memory:` or `amqp://user:password@host:5672/vhost`.
    pub url: Secret,
    /// What every queue and exchange of ours is called by, so that two installations can share one broker.
    #[serde(default = "prefix")]
    pub prefix: String,
    /// How long a picture may take to render, as estimated from its header, before its jobs go to the queue `heavy`.
    #[serde(default = "heavy_threshold", with = "human")]
    pub heavy_threshold: Duration,
    /// How many jobs of one user may be in flight before further ones go to the queue `bulk`.
    #[serde(default = "bulk_threshold")]
    pub bulk_threshold: u32,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            url: Secret::new("memory:"),
            prefix: prefix(),
            heavy_threshold: heavy_threshold(),
            bulk_threshold: bulk_threshold(),
        }
    }
}

impl QueueSettings {
    /// Which jobs go to `bulk` and `heavy`.
    pub(crate) fn routing(&self) -> Routing {
        Routing { heavy_threshold: self.heavy_threshold, bulk_threshold: self.bulk_threshold }
    }

    /// Looks at them without opening anything.
    pub(crate) fn check(&self) -> Result<(), QueueError> {
        if self.url.expose() == "memory:" { Ok(()) } else { rabbitmq::parse_address(self).map(drop) }
    }

    /// Has a broker be trusted if its certificate is from an authority in this file, unless the address names a file
    /// itself.
    pub(crate) fn trust_ca_file(&mut self, ca_file: &str) {
        rabbitmq::trust_ca_file(self, ca_file);
    }
}

fn prefix() -> String {
    "cloakroom".to_owned()
}

fn heavy_threshold() -> Duration {
    Routing::default().heavy_threshold
}

fn bulk_threshold() -> u32 {
    Routing::default().bulk_threshold
}

/// What can go wrong with the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The address is none we know.
    #[error("queue.url \"{0}\" cannot be opened: write memory: or amqp://user:password@host:5672/vhost")]
    Address(String),
    /// The address has a parameter that cannot be.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// The broker is not there, or not any more.
    #[error("the queue cannot be reached: {0}")]
    Unreachable(String),
    /// The broker is short of memory or disk and takes nothing in.
    #[error("the queue takes nothing in: its broker is short of memory or disk")]
    Blocked,
    /// The broker did not confirm in time; it may have the ticket or not.
    #[error("the queue did not confirm in time")]
    Unconfirmed,
    /// The broker will not have the ticket: a limit on the queue, most likely.
    #[error("the queue refused a ticket")]
    Refused,
    /// There is no queue for the ticket.
    #[error("the broker has no queue for \"{0}\"")]
    Unroutable(String),
    /// A ticket or a verdict could not be written down.
    #[error("the queue: {0}")]
    Codec(String),
    /// The broker or the way to it failed.
    #[error("the queue: {}", chain(.0))]
    Engine(#[from] lapin::Error),
    /// The queue is being shut down.
    #[error("the queue is closed")]
    Closed,
    /// A test made it fail.
    #[error(transparent)]
    InjectedFault(#[from] InjectedFault),
}

impl QueueError {
    /// Whether trying again later can help.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Address(_) | Self::Setting(_))
    }
}

/// What the broker says of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueStats {
    /// Messages that have been delivered to no worker.
    pub waiting: u64,
    /// Consumers: one for each worker that takes jobs of this lane now.
    pub consumers: u64,
}

/// The queue, opened. Clones share it.
#[derive(Clone, Debug)]
pub struct Queue {
    engine: QueueEngine,
    waiters: OutcomeWaiters,
    routing: Routing,
    fail_points: FailPoints,
}

#[derive(Clone, Debug)]
enum QueueEngine {
    Memory(MemoryQueue),
    RabbitMq(RabbitMq),
}

impl Queue {
    /// Opens the queue at the address in the settings. A broker that is away just now is no error: what needs it says
    /// so, and it is connected to once it is back.
    ///
    /// # Errors
    /// [`QueueError::Address`] where it is none we know.
    pub async fn open(settings: &QueueSettings, fail_points: FailPoints) -> Result<Self, QueueError> {
        let waiters = OutcomeWaiters::default();
        let engine = match settings.url.expose() {
            "memory:" => QueueEngine::Memory(MemoryQueue::default()),
            _ => QueueEngine::RabbitMq(RabbitMq::open(settings, waiters.clone()).await?),
        };
        Ok(Self { engine, waiters, routing: settings.routing(), fail_points })
    }

    /// Which jobs go to the queues `bulk` and `heavy`.
    pub fn routing(&self) -> Routing {
        self.routing
    }

    /// Whether what was published dies with this process, so that the records must refill it at the start.
    pub fn is_volatile(&self) -> bool {
        matches!(self.engine, QueueEngine::Memory(_))
    }

    /// Puts a ticket into its lane; when this returns the queue will not lose it.
    ///
    /// # Errors
    /// Where the queue did not confirm; the relay will publish it again from the records.
    pub async fn publish(&self, message: &JobMessage) -> Result<(), QueueError> {
        let publish = async {
            match &self.engine {
                QueueEngine::Memory(memory) => memory.publish(message.clone()),
                QueueEngine::RabbitMq(rabbitmq) => rabbitmq.publish(message).await,
            }
        };
        self.fail_points.instrument("queue", "publish", publish).await
    }

    /// Publishes all of these at once and says which of them the queue has confirmed.
    pub async fn publish_all(&self, messages: &[JobMessage]) -> Vec<JobId> {
        let publishing = messages.iter().map(async |message| self.publish(message).await.map(|()| message.id));
        join_all(publishing).await.into_iter().flatten().collect()
    }

    /// Puts a ticket into its lane, to be delivered after `delay` at the earliest.
    ///
    /// # Errors
    /// Where the queue did not confirm.
    pub async fn publish_delayed(&self, message: &JobMessage, delay: Duration) -> Result<(), QueueError> {
        let publish = async {
            match &self.engine {
                QueueEngine::Memory(memory) => memory.publish_delayed(message.clone(), delay),
                QueueEngine::RabbitMq(rabbitmq) => rabbitmq.publish_delayed(message, delay).await,
            }
        };
        self.fail_points.instrument("queue", "publish_later", publish).await
    }

    /// The deliveries of one lane, of which at most `prefetch` are in this consumer's hands at a time. Several
    /// consumers of a lane share its tickets.
    ///
    /// # Errors
    /// Where the queue cannot be reached.
    pub async fn consume(&self, queue: QueueName, prefetch: u16) -> Result<Deliveries, QueueError> {
        Ok(Deliveries(match &self.engine {
            // It hands a ticket to whoever asks and to nobody ahead of time, so there is nothing to bound.
            QueueEngine::Memory(memory) => DeliveriesEngine::Memory(memory.consume(queue)),
            QueueEngine::RabbitMq(rabbitmq) => DeliveriesEngine::RabbitMq(Box::new(rabbitmq.consume(queue, prefetch))),
        }))
    }

    /// How many tickets lie in a lane and are in no worker's hands.
    ///
    /// # Errors
    /// Where the queue cannot be asked.
    pub async fn depth(&self, queue: QueueName) -> Result<u64, QueueError> {
        match &self.engine {
            QueueEngine::Memory(memory) => Ok(memory.depth(queue)),
            QueueEngine::RabbitMq(rabbitmq) => rabbitmq.depth(queue).await,
        }
    }

    /// How many messages wait in a lane, and how many consumers it has; None for a queue that nobody but this process has.
    ///
    /// # Errors
    /// Where the queue cannot be asked.
    pub async fn stats(&self, queue: QueueName) -> Result<Option<QueueStats>, QueueError> {
        match &self.engine {
            QueueEngine::Memory(_) => Ok(None),
            QueueEngine::RabbitMq(rabbitmq) => rabbitmq.stats(queue).await.map(Some),
        }
    }

    /// Takes up what was parked by a version that did not know it and that this one does. Returns how many.
    ///
    /// # Errors
    /// Where the queue cannot be reached; what has been taken up stays so.
    pub async fn unpark(&self) -> Result<usize, QueueError> {
        match &self.engine {
            QueueEngine::Memory(_) => Ok(0),
            QueueEngine::RabbitMq(rabbitmq) => rabbitmq.unpark().await,
        }
    }

    /// Begins to wait for the verdict on a job that this process is about to publish. Call it before
    /// [`publish`](Self::publish), which tells the workers that somebody waits here.
    pub fn wait_for_outcome(&self, job: JobId) -> OutcomeWaiter {
        self.waiters.wait_for_outcome(job)
    }

    /// Begins to wait for the verdict on a job that another process may have published. Call it, then look into the
    /// records, then wait: so no verdict falls between.
    pub async fn wait_for_shared_outcome(&self, job: JobId) -> OutcomeWaiter {
        let waiting = self.waiters.wait_for_outcome(job);
        match &self.engine {
            QueueEngine::Memory(_) => waiting,
            QueueEngine::RabbitMq(rabbitmq) => waiting.with_binding(rabbitmq.bind_outcome(job).await),
        }
    }

    /// Tells whoever waits for this job, wherever that is. Nobody waiting is the usual case; a lost word is made good
    /// by the records.
    pub fn publish_outcome(&self, job: JobId, outcome: Outcome) {
        self.waiters.notify(job, outcome.clone());
        if let QueueEngine::RabbitMq(rabbitmq) = &self.engine {
            rabbitmq.publish_outcome(job, outcome);
        }
    }

    /// Sends what was announced and says goodbye: the last thing a process does with its queue.
    pub async fn close(&self) {
        if let QueueEngine::RabbitMq(rabbitmq) = &self.engine {
            rabbitmq.close().await;
        }
    }

    /// Whether the place answers.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn ping(&self) -> Result<(), QueueError> {
        match &self.engine {
            QueueEngine::Memory(_) => Ok(()),
            QueueEngine::RabbitMq(rabbitmq) => rabbitmq.ping().await,
        }
    }
}

/// A lane's deliveries, as they come. Dropped, it takes no more; what nobody has seen of it goes back.
#[derive(Debug)]
pub struct Deliveries(DeliveriesEngine);

#[derive(Debug)]
enum DeliveriesEngine {
    Memory(memory::Deliveries),
    RabbitMq(Box<rabbitmq::Deliveries>),
}

impl Deliveries {
    /// The next delivery, waiting for it; `None` when the queue is closed. Cancel-safe: a delivery is either returned
    /// or still in the queue.
    pub async fn next(&mut self) -> Option<Delivery> {
        match &mut self.0 {
            DeliveriesEngine::Memory(deliveries) => deliveries.next().await.map(DeliveryEngine::Memory),
            DeliveriesEngine::RabbitMq(deliveries) => {
                deliveries.next().await.map(|held| DeliveryEngine::RabbitMq(Box::new(held)))
            }
        }
        .map(Delivery)
    }

    /// The next delivery if one is there now: for tests that drive a worker by hand.
    pub async fn try_next(&mut self) -> Option<Delivery> {
        match &mut self.0 {
            DeliveriesEngine::Memory(deliveries) => deliveries.try_next().await.map(DeliveryEngine::Memory),
            DeliveriesEngine::RabbitMq(deliveries) => {
                deliveries.try_next().await.map(|held| DeliveryEngine::RabbitMq(Box::new(held)))
            }
        }
        .map(Delivery)
    }
}

/// A ticket in a worker's hands. Dropped without [`ack`](Self::ack), it goes back into its lane.
#[derive(Debug)]
pub struct Delivery(DeliveryEngine);

#[derive(Debug)]
enum DeliveryEngine {
    Memory(memory::Delivery),
    RabbitMq(Box<rabbitmq::Delivery>),
}

impl Delivery {
    /// What is to be done.
    pub fn message(&self) -> &JobMessage {
        match &self.0 {
            DeliveryEngine::Memory(delivery) => delivery.message(),
            DeliveryEngine::RabbitMq(delivery) => delivery.message(),
        }
    }

    /// It has been dealt with, whichever way; the queue forgets it.
    ///
    /// # Errors
    /// Where the queue did not hear; it will deliver again, and the records will say that it is done.
    pub async fn ack(self) -> Result<(), QueueError> {
        match self.0 {
            DeliveryEngine::Memory(delivery) => {
                delivery.ack();
                Ok(())
            }
            DeliveryEngine::RabbitMq(delivery) => delivery.ack().await,
        }
    }
}
