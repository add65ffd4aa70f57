//! The trait that every engine of the queue implements. A new engine needs one module and one line in
//! [`Queue::open`](crate::Queue::open).

use std::any::Any;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use domain::{JobId, JobMessage, Outcome, QueueName};

use crate::error::QueueError;
use crate::stats::QueueStats;

/// An engine. Its operations are those of [`Queue`](crate::Queue), which describes them, counts them and lets tests fail
/// them.
#[async_trait]
pub(crate) trait QueueEngine: Debug + Send + Sync {
    /// Whether messages are lost when this process ends.
    fn is_volatile(&self) -> bool;

    /// Publishes a message. When this returns, the engine will not lose it.
    async fn publish(&self, message: &JobMessage) -> Result<(), QueueError>;

    /// Publishes a message that is delivered after `delay` at the earliest.
    async fn publish_delayed(&self, message: &JobMessage, delay: Duration) -> Result<(), QueueError>;

    /// Consumes a queue, with at most `prefetch` unacknowledged deliveries at a time.
    fn consume(&self, queue: QueueName, prefetch: u16) -> Box<dyn DeliverySource>;

    /// The number of messages in a queue that are not yet delivered to a worker.
    async fn depth(&self, queue: QueueName) -> Result<u64, QueueError>;

    /// The numbers of messages and consumers of a queue; None if only this process uses the queue.
    async fn stats(&self, queue: QueueName) -> Result<Option<QueueStats>, QueueError>;

    /// Publishes the parked messages whose kind this version knows, and returns how many.
    async fn unpark(&self) -> Result<usize, QueueError>;

    /// Makes outcomes of a job from other processes arrive here until the returned value is
    /// dropped. Returns None if there are no other processes.
    async fn bind_outcome(&self, job: JobId) -> Option<Box<dyn Any + Send + Sync>>;

    /// Sends an outcome to the other processes that wait for it. The waiters in this process have
    /// been notified already.
    fn publish_outcome(&self, job: JobId, outcome: Outcome);

    /// Sends what is pending and closes the connections.
    async fn close(&self);

    /// Checks that the engine answers.
    async fn ping(&self) -> Result<(), QueueError>;
}

/// The deliveries of one queue. Dropping this value ends the consumer, and the deliveries that `next` has not
/// returned go back to the queue.
#[async_trait]
pub(crate) trait DeliverySource: Debug + Send {
    /// Waits for the next delivery. Cancel-safe: a delivery is either returned or still in the queue.
    async fn next(&mut self) -> Option<Box<dyn HeldDelivery>>;

    /// Returns the next delivery if there is one now.
    async fn try_next(&mut self) -> Option<Box<dyn HeldDelivery>>;
}

/// A message that this process holds. If it is dropped without an acknowledgement, it goes back to its queue.
#[async_trait]
pub(crate) trait HeldDelivery: Debug + Send + Sync {
    /// The message.
    fn message(&self) -> &JobMessage;

    /// Acknowledges the delivery; the engine deletes the message.
    async fn ack(self: Box<Self>) -> Result<(), QueueError>;
}
