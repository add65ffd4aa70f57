//! The job queue between api and worker.
//!
//! The queue loses no message that it confirmed, but it may deliver a message twice: the job's row in the records
//! decides whether a delivery is still work. `memory:` is for one process and is refilled from the records when that
//! process starts.

use std::time::Duration;

use domain::{JobId, JobMessage, Outcome, QueueName, Routing};
use futures::future::join_all;
use instrument::FailPoints;

use crate::delivery::{Deliveries, DeliveriesEngine};
use crate::error::QueueError;
use crate::memory::MemoryQueue;
use crate::operations::instrument;
use crate::outcome_waiters::{OutcomeWaiter, OutcomeWaiters};
use crate::rabbitmq::RabbitMq;
use crate::settings::QueueSettings;
use crate::stats::QueueStats;

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
        instrument(&self.fail_points, "publish", publish).await
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
        instrument(&self.fail_points, "publish_delayed", publish).await
    }

    /// Consumes a queue. At most `prefetch` deliveries are unacknowledged in this consumer at a time. Several
    /// consumers of a queue share its messages.
    ///
    /// # Errors
    /// If the queue cannot be reached.
    pub async fn consume(&self, queue: QueueName, prefetch: u16) -> Result<Deliveries, QueueError> {
        let engine = match &self.engine {
            // The memory queue hands out a message only when it is asked for, so there is nothing to bound.
            QueueEngine::Memory(memory) => DeliveriesEngine::Memory(memory.consume(queue)),
            QueueEngine::RabbitMq(rabbitmq) => DeliveriesEngine::RabbitMq(Box::new(rabbitmq.consume(queue, prefetch))),
        };
        Ok(Deliveries { engine, fail_points: self.fail_points.clone() })
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
        let unpark = async {
            match &self.engine {
                QueueEngine::Memory(_) => Ok(0),
                QueueEngine::RabbitMq(rabbitmq) => rabbitmq.unpark().await,
            }
        };
        instrument(&self.fail_points, "unpark", unpark).await
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
