//! Messages on their way from the queue to a worker.

use domain::JobMessage;
use instrument::FailPoints;

use crate::engine::{DeliverySource, HeldDelivery};
use crate::error::QueueError;
use crate::writing_operations::instrument;

/// The deliveries of one queue, in order. Dropped, it consumes no more, and deliveries that were not returned go back
/// to the queue.
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

    /// The next delivery if there is one now, for tests that drive a worker by hand.
    pub async fn try_next(&mut self) -> Option<Delivery> {
        let held = self.source.try_next().await?;
        Some(Delivery { held, fail_points: self.fail_points.clone() })
    }
}

/// A job message delivered to a worker. Dropped without [`ack`](Self::ack), it goes back to its queue.
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
    /// If the acknowledgement did not reach the queue. The queue will deliver again, and the records will say that
    /// the job is done.
    pub async fn ack(self) -> Result<(), QueueError> {
        let Self { held, fail_points } = self;
        instrument(&fail_points, "ack", held.ack()).await
    }
}
