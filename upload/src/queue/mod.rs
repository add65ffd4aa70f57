//! The job queue between api and worker.
//!
//! The queue loses no message that it confirmed, but it may deliver a message twice: the job's row in the records
//! decides whether a delivery is still work. `memory:` is for one process and is refilled from the records when that
//! process starts.

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

/// Settings of the queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// `memory:` or `amqp://user:password@host:5672/vhost`.
    pub url: Secret,
    /// The prefix of the names of all queues and exchanges, so that two installations can share one broker.
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

    /// Checks the settings without opening anything.
    pub(crate) fn check(&self) -> Result<(), QueueError> {
        if self.url.expose() == "memory:" { Ok(()) } else { rabbitmq::parse_address(self).map(drop) }
    }

    /// Makes a broker trusted if its certificate is from an authority in this file, unless the address names a file
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

/// An error of the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The address has an unknown form.
    #[error("queue.url \"{0}\" cannot be opened: write memory: or amqp://user:password@host:5672/vhost")]
    Address(String),
    /// The address has an invalid parameter.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// The broker cannot be reached, or the connection to it was lost.
    #[error("the queue cannot be reached: {0}")]
    Unreachable(String),
    /// The broker is short of memory or disk and accepts no messages.
    #[error("the queue takes nothing in: its broker is short of memory or disk")]
    Blocked,
    /// The broker did not confirm in time; it may or may not have the message.
    #[error("the queue did not confirm in time")]
    Unconfirmed,
    /// The broker rejected the message, most likely because of a limit on the queue.
    #[error("the queue refused a ticket")]
    Refused,
    /// There is no queue for the message.
    #[error("the broker has no queue for \"{0}\"")]
    Unroutable(String),
    /// A job message or an outcome could not be serialized.
    #[error("the queue: {0}")]
    Codec(String),
    /// The broker or the connection to it failed.
    #[error("the queue: {}", chain(.0))]
    Engine(#[from] lapin::Error),
    /// The queue is being shut down.
    #[error("the queue is closed")]
    Closed,
    /// A fault injected by a test.
    #[error(transparent)]
    InjectedFault(#[from] InjectedFault),
}

impl QueueError {
    /// Whether trying again later can help.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Address(_) | Self::Setting(_))
    }
}

/// The broker's figures for a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueStats {
    /// Messages that have been delivered to no worker.
    pub waiting: u64,
    /// Consumers: one for each worker that takes jobs of this queue now.
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
    /// Opens the queue at the address in the settings. A broker that is not available now is no error: operations
    /// that need it fail until it is connected again.
    ///
    /// # Errors
    /// [`QueueError::Address`] if the address has an unknown form.
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

    /// Whether messages are lost when this process ends, so that they must be published again from the records at the
    /// start.
    pub fn is_volatile(&self) -> bool {
        matches!(self.engine, QueueEngine::Memory(_))
    }

    /// Publishes a job message to its queue. When this returns, the queue will not lose it.
    ///
    /// # Errors
    /// If the queue did not confirm; the relay will publish the message again from the records.
    pub async fn publish(&self, message: &JobMessage) -> Result<(), QueueError> {
        let publish = async {
            match &self.engine {
                QueueEngine::Memory(memory) => memory.publish(message.clone()),
                QueueEngine::RabbitMq(rabbitmq) => rabbitmq.publish(message).await,
            }
        };
        self.fail_points.instrument("queue", "publish", publish).await
    }

    /// Publishes all these messages at once and returns the jobs that the queue has confirmed.
    pub async fn publish_all(&self, messages: &[JobMessage]) -> Vec<JobId> {
        let publishing = messages.iter().map(async |message| self.publish(message).await.map(|()| message.id));
        join_all(publishing).await.into_iter().flatten().collect()
    }

    /// Publishes a job message to its queue, to be delivered after `delay` at the earliest.
    ///
    /// # Errors
    /// If the queue did not confirm.
    pub async fn publish_delayed(&self, message: &JobMessage, delay: Duration) -> Result<(), QueueError> {
        let publish = async {
            match &self.engine {
                QueueEngine::Memory(memory) => memory.publish_delayed(message.clone(), delay),
                QueueEngine::RabbitMq(rabbitmq) => rabbitmq.publish_delayed(message, delay).await,
            }
        };
        self.fail_points.instrument("queue", "publish_later", publish).await
    }

    /// Consumes a queue. At most `prefetch` deliveries are unacknowledged in this consumer at a time. Several
    /// consumers of a queue share its messages.
    ///
    /// # Errors
    /// If the queue cannot be reached.
    pub async fn consume(&self, queue: QueueName, prefetch: u16) -> Result<Deliveries, QueueError> {
        Ok(Deliveries(match &self.engine {
            // The memory queue hands out a message only when it is asked for, so there is nothing to bound.
            QueueEngine::Memory(memory) => DeliveriesEngine::Memory(memory.consume(queue)),
            QueueEngine::RabbitMq(rabbitmq) => DeliveriesEngine::RabbitMq(Box::new(rabbitmq.consume(queue, prefetch))),
        }))
    }

    /// The number of messages in a queue that are delivered to no worker.
    ///
    /// # Errors
    /// If the queue cannot be asked.
    pub async fn depth(&self, queue: QueueName) -> Result<u64, QueueError> {
        match &self.engine {
            QueueEngine::Memory(memory) => Ok(memory.depth(queue)),
            QueueEngine::RabbitMq(rabbitmq) => rabbitmq.depth(queue).await,
        }
    }

    /// The number of messages that wait in a queue, and of its consumers; None for a queue that only this process
    /// uses.
    ///
    /// # Errors
    /// If the queue cannot be asked.
    pub async fn stats(&self, queue: QueueName) -> Result<Option<QueueStats>, QueueError> {
        match &self.engine {
            QueueEngine::Memory(_) => Ok(None),
            QueueEngine::RabbitMq(rabbitmq) => rabbitmq.stats(queue).await.map(Some),
        }
    }

    /// Publishes parked messages that this version knows, and that an earlier one did not know, to their queues.
    /// Returns how many.
    ///
    /// # Errors
    /// If the queue cannot be reached; messages published by then stay published.
    pub async fn unpark(&self) -> Result<usize, QueueError> {
        match &self.engine {
            QueueEngine::Memory(_) => Ok(0),
            QueueEngine::RabbitMq(rabbitmq) => rabbitmq.unpark().await,
        }
    }

    /// Begins to wait for the outcome of a job that this process is about to publish. Must be called before
    /// [`publish`](Self::publish), which tells the workers that this process waits.
    pub fn wait_for_outcome(&self, job: JobId) -> OutcomeWaiter {
        self.waiters.wait_for_outcome(job)
    }

    /// Begins to wait for the outcome of a job that another process may have published. The caller must call this,
    /// then read the records, then wait, so that no outcome is missed in between.
    pub async fn wait_for_shared_outcome(&self, job: JobId) -> OutcomeWaiter {
        let waiting = self.waiters.wait_for_outcome(job);
        match &self.engine {
            QueueEngine::Memory(_) => waiting,
            QueueEngine::RabbitMq(rabbitmq) => waiting.with_binding(rabbitmq.bind_outcome(job).await),
        }
    }

    /// Sends the outcome of a job to its waiters, in this process and others. A job usually has no waiter. A lost
    /// message does no harm, because waiters read the records in the end.
    pub fn publish_outcome(&self, job: JobId, outcome: Outcome) {
        self.waiters.notify(job, outcome.clone());
        if let QueueEngine::RabbitMq(rabbitmq) = &self.engine {
            rabbitmq.publish_outcome(job, outcome);
        }
    }

    /// Sends the pending outcomes and closes the connections. A process must not use the queue afterwards.
    pub async fn close(&self) {
        if let QueueEngine::RabbitMq(rabbitmq) = &self.engine {
            rabbitmq.close().await;
        }
    }

    /// Checks that the queue answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn ping(&self) -> Result<(), QueueError> {
        match &self.engine {
            QueueEngine::Memory(_) => Ok(()),
            QueueEngine::RabbitMq(rabbitmq) => rabbitmq.ping().await,
        }
    }
}

/// The deliveries of one queue, in order. Dropped, it consumes no more, and deliveries that were not returned go back
/// to the queue.
#[derive(Debug)]
pub struct Deliveries(DeliveriesEngine);

#[derive(Debug)]
enum DeliveriesEngine {
    Memory(memory::Deliveries),
    RabbitMq(Box<rabbitmq::Deliveries>),
}

impl Deliveries {
    /// Waits for the next delivery; `None` when the queue is closed. Cancel-safe: a delivery is either returned or
    /// still in the queue.
    pub async fn next(&mut self) -> Option<Delivery> {
        match &mut self.0 {
            DeliveriesEngine::Memory(deliveries) => deliveries.next().await.map(DeliveryEngine::Memory),
            DeliveriesEngine::RabbitMq(deliveries) => {
                deliveries.next().await.map(|held| DeliveryEngine::RabbitMq(Box::new(held)))
            }
        }
        .map(Delivery)
    }

    /// The next delivery if there is one now, for tests that drive a worker by hand.
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

/// A job message delivered to a worker. Dropped without [`ack`](Self::ack), it goes back to its queue.
#[derive(Debug)]
pub struct Delivery(DeliveryEngine);

#[derive(Debug)]
enum DeliveryEngine {
    Memory(memory::Delivery),
    RabbitMq(Box<rabbitmq::Delivery>),
}

impl Delivery {
    /// The job message.
    pub fn message(&self) -> &JobMessage {
        match &self.0 {
            DeliveryEngine::Memory(delivery) => delivery.message(),
            DeliveryEngine::RabbitMq(delivery) => delivery.message(),
        }
    }

    /// Acknowledges the delivery, whatever its result; the queue deletes the message.
    ///
    /// # Errors
    /// If the acknowledgement did not reach the queue. The queue will deliver again, and the records will say that
    /// the job is done.
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
