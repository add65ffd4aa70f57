//! Messages on their way from the queue to a worker.

use domain::JobMessage;
use instrument::FailPoints;

use crate::error::QueueError;
use crate::operations::instrument;
use crate::{memory, rabbitmq};

/// The deliveries of one queue, in order. Dropped, it consumes no more, and deliveries that were not returned go back
/// to the queue.
#[derive(Debug)]
pub struct Deliveries {
    pub(crate) engine: DeliveriesEngine,
    pub(crate) fail_points: FailPoints,
}

#[derive(Debug)]
pub(crate) enum DeliveriesEngine {
    Memory(memory::Deliveries),
    RabbitMq(Box<rabbitmq::Deliveries>),
}

impl Deliveries {
    /// Waits for the next delivery; `None` when the queue is closed. Cancel-safe: a delivery is either returned or
    /// still in the queue.
    pub async fn next(&mut self) -> Option<Delivery> {
        let engine = match &mut self.engine {
            DeliveriesEngine::Memory(deliveries) => deliveries.next().await.map(DeliveryEngine::Memory),
            DeliveriesEngine::RabbitMq(deliveries) => {
                deliveries.next().await.map(|held| DeliveryEngine::RabbitMq(Box::new(held)))
            }
        };
        Some(Delivery { engine: engine?, fail_points: self.fail_points.clone() })
    }

    /// The next delivery if there is one now, for tests that drive a worker by hand.
    pub async fn try_next(&mut self) -> Option<Delivery> {
        let engine = match &mut self.engine {
            DeliveriesEngine::Memory(deliveries) => deliveries.try_next().await.map(DeliveryEngine::Memory),
            DeliveriesEngine::RabbitMq(deliveries) => {
                deliveries.try_next().await.map(|held| DeliveryEngine::RabbitMq(Box::new(held)))
            }
        };
        Some(Delivery { engine: engine?, fail_points: self.fail_points.clone() })
    }
}

/// A job message delivered to a worker. Dropped without [`ack`](Self::ack), it goes back to its queue.
#[derive(Debug)]
pub struct Delivery {
    engine: DeliveryEngine,
    fail_points: FailPoints,
}

#[derive(Debug)]
enum DeliveryEngine {
    Memory(memory::Delivery),
    RabbitMq(Box<rabbitmq::Delivery>),
}

impl Delivery {
    /// The job message.
    pub fn message(&self) -> &JobMessage {
        match &self.engine {
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
        let Self { engine, fail_points } = self;
        let ack = async {
            match engine {
                DeliveryEngine::Memory(delivery) => {
                    delivery.ack();
                    Ok(())
                }
                DeliveryEngine::RabbitMq(delivery) => delivery.ack().await,
            }
        };
        instrument(&fail_points, "ack", ack).await
    }
}
