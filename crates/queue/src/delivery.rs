//! Messages on their way from the queue to a worker.

use domain::JobMessage;
use instrument::FailPoints;

use crate::engine::{DeliverySource, HeldDelivery};
use crate::error::QueueError;
use crate::writing_operations::instrument;

/// The deliveries of one queue, in order. Dropping this value ends the consumer, and the deliveries that
/// [`next`](Self::next) has not returned go back to the queue.
#[derive(Debug)]
pub struct Deliveries {
    pub(crate) source: Box<dyn DeliverySource>,
    pub(crate) fail_points: FailPoints,
}

impl Deliveries {
    /// Waits for the next delivery; `None` when the queue is closed. Cancel-safe: a delivery is either returned or
    /// still in the queue.
    pub async fn next(&mut self) -> Option<Delivery> {
        let held = self.source.next().await?;
        Some(Delivery { held, fail_points: self.fail_points.clone() })
    }

    /// Returns the next delivery if there is one now. For tests that run a worker step by step.
    pub async fn try_next(&mut self) -> Option<Delivery> {
        let held = self.source.try_next().await?;
        Some(Delivery { held, fail_points: self.fail_points.clone() })
    }
}

/// A job message delivered to a worker. If it is dropped without [`ack`](Self::ack), it goes back to its queue.
#[derive(Debug)]
pub struct Delivery {
    held: Box<dyn HeldDelivery>,
    fail_points: FailPoints,
}

impl Delivery {
    /// The job message.
    pub fn message(&self) -> &JobMessage {
        self.held.message()
    }

    /// Acknowledges the delivery, whatever the result of the job; the queue deletes the message.
    ///
    /// # Errors
    /// If the acknowledgement did not reach the queue. The queue will deliver the message again, and the records
    /// will say that the job is done.
    pub async fn ack(self) -> Result<(), QueueError> {
        let Self { held, fail_points } = self;
        instrument(&fail_points, "ack", held.ack()).await
    }
}
