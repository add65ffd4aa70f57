//! The job queue between api and worker.
//!
//! RabbitMQ keeps every message that it confirmed, but it may deliver a message twice: the job's
//! row in the records decides whether the job must still run. The queue `memory:` is for one
//! process. It keeps messages until that process ends, and is refilled from the records when a
//! process starts.
//!
//! Every operation can fail because the broker cannot be reached.

use std::sync::Arc;
use std::time::Duration;

use domain::{JobId, JobMessage, Outcome, QueueName, Routing};
use futures::future::join_all;
use instrument::FailPoints;

use crate::delivery::Deliveries;
use crate::engine::QueueEngine;
use crate::error::QueueError;
use crate::memory::MemoryQueue;
use crate::outcome_waiters::{OutcomeWaiter, OutcomeWaiters};
use crate::rabbitmq::RabbitMq;
use crate::settings::QueueSettings;
use crate::stats::QueueStats;
use crate::writing_operations::instrument;

/// An open queue. All clones use the same connections.
#[derive(Clone, Debug)]
pub struct Queue {
    engine: Arc<dyn QueueEngine>,
    waiters: OutcomeWaiters,
    routing: Routing,
    fail_points: FailPoints,
}

impl Queue {
    /// Opens the queue at the address in the settings. Succeeds even if the broker is unavailable: operations
    /// that need it fail until it is connected.
    ///
    /// # Errors
    /// [`QueueError::Address`] if the address has an unknown form, and [`QueueError::Setting`] if
    /// it has an invalid parameter.
    pub async fn open(settings: &QueueSettings, fail_points: FailPoints) -> Result<Self, QueueError> {
        let waiters = OutcomeWaiters::default();
        let engine: Arc<dyn QueueEngine> = match settings.url.expose() {
            "memory:" => Arc::new(MemoryQueue::default()),
            _ => Arc::new(RabbitMq::open(settings, waiters.clone()).await?),
        };
        Ok(Self { engine, waiters, routing: settings.routing(), fail_points })
    }

    /// Returns which jobs go to the queues `bulk` and `heavy`.
    pub fn routing(&self) -> Routing {
        self.routing
    }

    /// Returns whether messages are lost when this process ends. If so, the next process must
    /// publish them again from the records when it starts.
    pub fn is_volatile(&self) -> bool {
        self.engine.is_volatile()
    }

    /// Publishes a job message to its queue. If this returns `Ok`, RabbitMQ keeps the message; the memory queue keeps it
    /// until the process ends.
    ///
    /// # Errors
    /// If the queue did not confirm; the relay will publish the message again from the records.
    pub async fn publish(&self, message: &JobMessage) -> Result<(), QueueError> {
        instrument(&self.fail_points, "publish", self.engine.publish(message)).await
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
        instrument(&self.fail_points, "publish_delayed", self.engine.publish_delayed(message, delay)).await
    }

    /// Consumes a queue. At most `prefetch` deliveries are unacknowledged in this consumer at a time. Several
    /// consumers of a queue share its messages.
    pub fn consume(&self, queue: QueueName, prefetch: u16) -> Deliveries {
        Deliveries { source: self.engine.consume(queue, prefetch), fail_points: self.fail_points.clone() }
    }

    /// Returns the number of messages in a queue that are not yet delivered.
    ///
    /// # Errors
    /// If the broker cannot be reached.
    pub async fn depth(&self, queue: QueueName) -> Result<u64, QueueError> {
        self.engine.depth(queue).await
    }

    /// Returns how many messages of a queue are not yet delivered, and how many consumers it has.
    /// Returns None for a queue that only this process uses.
    ///
    /// # Errors
    /// If the broker cannot be reached.
    pub async fn stats(&self, queue: QueueName) -> Result<Option<QueueStats>, QueueError> {
        self.engine.stats(queue).await
    }

    /// Publishes the parked messages whose kind this version knows, each to its queue. Returns how many.
    ///
    /// # Errors
    /// If the broker cannot be reached; messages published by then stay published.
    pub async fn unpark(&self) -> Result<usize, QueueError> {
        instrument(&self.fail_points, "unpark", self.engine.unpark()).await
    }

    /// Begins to wait for the outcome of a job that this process is about to publish. Must be called before
    /// [`publish`](Self::publish), which tells the workers that this process waits.
    pub fn wait_for_outcome(&self, job: JobId) -> OutcomeWaiter {
        self.waiters.wait_for_outcome(job)
    }

    /// Begins to wait for the outcome of a job that another process may have published. The caller must call this,
    /// then read the records, then wait, so that no outcome is missed in between.
    pub async fn wait_for_shared_outcome(&self, job: JobId) -> OutcomeWaiter {
        let waiter = self.waiters.wait_for_outcome(job);
        waiter.with_binding(self.engine.bind_outcome(job).await)
    }

    /// Sends the outcome of a job to its waiters, in this process and others. A job usually has no waiter. A lost
    /// message does no harm, because waiters read the records in the end.
    pub fn publish_outcome(&self, job: JobId, outcome: Outcome) {
        self.waiters.notify(job, outcome.clone());
        self.engine.publish_outcome(job, outcome);
    }

    /// Sends the pending outcomes and closes the connections. A process must not use the queue afterwards.
    pub async fn close(&self) {
        self.engine.close().await;
    }

    /// Checks that the queue answers.
    ///
    /// # Errors
    /// If the broker cannot be reached.
    pub async fn ping(&self) -> Result<(), QueueError> {
        self.engine.ping().await
    }
}
