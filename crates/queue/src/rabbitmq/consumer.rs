//! Consumes one queue. A lost channel or connection is opened again, and the broker then delivers the messages that
//! were not acknowledged once more.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{JobMessage, QueueName};
use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer};

use super::connection::with_timeout;
use super::context::QueueContext;
use super::message::AmqpMessage;
use super::parked;
use crate::engine::{DeliverySource, HeldDelivery};
use crate::error::QueueError;

/// How long a consumer that could not subscribe, or could not park a message, waits before it continues.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// After this long without a delivery, a consumer checks whether the broker has dropped it.
const IDLE_CHECK: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Deliveries {
    broker: Arc<QueueContext>,
    queue: QueueName,
    prefetch: u16,
    channel: Option<Channel>,
    consumer: Option<Consumer>,
}

/// Why a consumer has got nothing for [`IDLE_CHECK`].
#[derive(Debug)]
enum IdleCause {
    /// There is nothing to deliver.
    Empty,
    /// This many messages wait and none is delivered: the broker has dropped the consumer. A broker can do so without
    /// a notice. RabbitMQ 3.10 does it when a queue is deleted and declared again at once.
    Dropped(u32),
    /// The broker did not say how many messages wait, so the channel cannot be trusted.
    Unknown(QueueError),
}

impl From<Result<u32, QueueError>> for IdleCause {
    fn from(waiting_messages: Result<u32, QueueError>) -> Self {
        match waiting_messages {
            Ok(0) => Self::Empty,
            Ok(waiting) => Self::Dropped(waiting),
            Err(error) => Self::Unknown(error),
        }
    }
}

impl IdleCause {
    /// Returns whether the consumer has to subscribe again. Logs why, and counts a consumer that the broker has
    /// dropped.
    fn requires_new_consumer(&self, queue: QueueName) -> bool {
        let queue = queue.as_str();
        match self {
            Self::Empty => return false,
            Self::Dropped(messages) => {
                tracing::warn!(queue, messages, "messages wait in the queue and none is delivered; consuming again");
                metrics::counter!("cloakroom_queue_consumers_revived_total").increment(1);
            }
            Self::Unknown(error) => {
                tracing::warn!(queue, %error, "the broker does not say whether messages wait; consuming again");
            }
        }
        true
    }
}

impl Deliveries {
    pub(super) fn new(shared: Arc<QueueContext>, queue: QueueName, prefetch: u16) -> Self {
        Self { broker: shared, queue, prefetch, channel: None, consumer: None }
    }

    /// Asks the broker how many messages wait, and concludes from the answer why there are no deliveries.
    async fn find_idle_cause(&self) -> IdleCause {
        let Some(channel) = &self.channel else { return IdleCause::Unknown(QueueError::Closed) };
        let queue = self.broker.topology.job_queue(self.queue);
        IdleCause::from(with_timeout(parked::message_count(channel, &queue)).await)
    }

    async fn channel(&mut self) -> Result<Channel, QueueError> {
        if let Some(channel) = self.channel.as_ref().filter(|channel| channel.status().connected()) {
            return Ok(channel.clone());
        }
        let channel = self.broker.consumer_connection.channel(Duration::MAX).await?;
        Ok(self.channel.insert(channel).clone())
    }

    async fn subscribe(&mut self) -> Result<(), QueueError> {
        // The new consumer has its own channel, which can be closed without affecting a delivery that a worker holds.
        let channel = self.broker.consumer_connection.channel(Duration::MAX).await?;
        let mut guard = ChannelGuard(Some(channel.clone()));
        // The limit is per consumer, because RabbitMQ 4.3 refuses a global limit. It limits the
        // deliveries that one worker holds, so that other workers get the other messages.
        with_timeout(channel.basic_qos(self.prefetch, BasicQosOptions { global: false })).await?;
        // The default options: a worker acknowledges each delivery, and other consumers may consume the same queue.
        // The empty tag lets the broker name the consumer.
        let (queue, options) = (self.broker.topology.job_queue(self.queue), BasicConsumeOptions::default());
        let consumer = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
        let consumer = with_timeout(consumer).await?;
        (self.consumer, self.channel) = (Some(consumer), guard.0.take());
        tracing::debug!(queue = self.queue.as_str(), prefetch = self.prefetch, "consuming");
        Ok(())
    }

    /// Returns the delivery. If this version does not know the message, parks it and returns None. If parking fails,
    /// the message goes back to its queue.
    async fn decode_or_park(&self, body: &[u8], properties: &lapin::BasicProperties, acker: Acker) -> Option<Delivery> {
        let ack_guard = AckGuard(Some((acker, self.channel.clone()?)));
        match AmqpMessage::decode(body, properties) {
            Ok(mut message) => {
                message.body.queue = self.queue;
                self.broker.reply_targets.remember(&message);
                Some(Delivery { message, ack_guard })
            }
            Err(error) => {
                let kind = properties.kind().as_ref().map_or("none", |kind| kind.as_str()).to_owned();
                tracing::error!(kind, %error, "parked a message, because this version does not know its job");
                metrics::counter!("cloakroom_jobs_parked_total", "queue" => self.queue.as_str()).increment(1);
                // The message is parked before it is acknowledged, so that a crash in between leaves two copies and
                // not none.
                match parked::park(&self.broker, self.queue, body, properties).await {
                    Ok(()) => ack_guard.ack().await.unwrap_or_default(),
                    Err(error) => {
                        tracing::warn!(%error, "the message could not be parked; it goes back to its queue");
                        tokio::time::sleep(RETRY_PAUSE).await;
                        drop(ack_guard);
                    }
                }
                None
            }
        }
    }
}

#[async_trait]
impl DeliverySource for Deliveries {
    async fn next(&mut self) -> Option<Box<dyn HeldDelivery>> {
        loop {
            if self.consumer.is_none()
                && let Err(error) = self.subscribe().await
            {
                tracing::warn!(queue = self.queue.as_str(), %error, "the queue cannot be consumed; consuming is retried");
                // The queue may have been deleted.
                self.broker.consumer_connection.declare().await.ok();
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            }
            let Some(consumer) = &mut self.consumer else { continue };
            match tokio::time::timeout(IDLE_CHECK, consumer.next()).await {
                Ok(Some(Ok(delivery))) => {
                    if let Some(delivery) =
                        self.decode_or_park(&delivery.data, &delivery.properties, delivery.acker).await
                    {
                        return Some(Box::new(delivery));
                    }
                }
                // The channel or the connection is lost, or the broker cancelled the consumer because the queue was
                // deleted.
                Ok(Some(Err(_)) | None) => (self.consumer, self.channel) = (None, None),
                Err(_) => {
                    if self.find_idle_cause().await.requires_new_consumer(self.queue) {
                        (self.consumer, self.channel) = (None, None);
                    }
                }
            }
        }
    }

    async fn try_next(&mut self) -> Option<Box<dyn HeldDelivery>> {
        loop {
            let queue = self.broker.topology.job_queue(self.queue);
            let channel = self.channel().await.ok()?;
            let message = with_timeout(channel.basic_get(queue.into(), BasicGetOptions::default())).await.ok()??;
            let delivery = message.delivery;
            if let Some(delivery) = self.decode_or_park(&delivery.data, &delivery.properties, delivery.acker).await {
                return Some(Box::new(delivery));
            }
        }
    }
}

impl Drop for Deliveries {
    /// Ends the deliveries and returns the unread ones to the queue. Deliveries that a worker holds keep the channel
    /// open.
    fn drop(&mut self) {
        let (Some(mut consumer), Some(channel)) = (self.consumer.take(), self.channel.take()) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            with_timeout(channel.basic_cancel(consumer.tag(), BasicCancelOptions::default())).await.ok();
            while let Some(Ok(unseen)) = consumer.next().await {
                unseen.acker.nack(requeue()).await.ok();
            }
        });
    }
}

/// A channel on which a consumer is about to begin. If the attempt is abandoned, because of a timeout or a dropped
/// future, the channel is closed explicitly.
///
/// The broker may have begun the consumer all the same, and lapin keeps a channel with a consumer open. Messages
/// delivered there would be handled by no worker until the broker's own timeout ends.
struct ChannelGuard(Option<Channel>);

impl Drop for ChannelGuard {
    fn drop(&mut self) {
        let Some(channel) = self.0.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move { with_timeout(channel.close(200, "given up".into())).await.ok() });
    }
}

/// Options that return a message to its position in the queue.
fn requeue() -> BasicNackOptions {
    BasicNackOptions { requeue: true, multiple: false }
}

#[derive(Debug)]
struct Delivery {
    message: AmqpMessage,
    ack_guard: AckGuard,
}

#[async_trait]
impl HeldDelivery for Delivery {
    fn message(&self) -> &JobMessage {
        &self.message.body
    }

    async fn ack(self: Box<Self>) -> Result<(), QueueError> {
        self.ack_guard.ack().await
    }
}

/// A message to be acknowledged. If it is dropped without [`ack`](Self::ack), it goes back to its queue. It keeps the
/// channel of its delivery open, because an acknowledgement is valid on no other channel.
#[derive(Debug)]
struct AckGuard(Option<(Acker, Channel)>);

impl AckGuard {
    async fn ack(mut self) -> Result<(), QueueError> {
        let Some((acker, _channel)) = self.0.take() else { return Ok(()) };
        // `Acker::ack` returns false if the channel was closed in the meantime.
        if with_timeout(acker.ack(BasicAckOptions::default())).await? { Ok(()) } else { Err(QueueError::Closed) }
    }
}

impl Drop for AckGuard {
    fn drop(&mut self) {
        let Some((acker, channel)) = self.0.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            with_timeout(acker.nack(requeue())).await.ok();
            drop(channel);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

    use super::*;

    /// A recorder that adds all counters up.
    #[derive(Default)]
    struct CounterSum(Arc<AtomicU64>);

    impl Recorder for CounterSum {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(Arc::clone(&self.0))
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn only_a_consumer_with_waiting_messages_counts_as_dropped_by_the_broker() {
        for (waiting_messages, begins_again, dropped) in [
            (Ok(0), false, 0),
            (Ok(3), true, 1),
            (Err(QueueError::Unreachable("no answer within 10 s".to_owned())), true, 0),
        ] {
            let counted = CounterSum::default();
            let case = format!("{waiting_messages:?}");
            let cause = IdleCause::from(waiting_messages);
            let again = metrics::with_local_recorder(&counted, || cause.requires_new_consumer(QueueName::Pictures));
            assert_eq!((again, counted.0.load(Ordering::Relaxed)), (begins_again, dropped), "{case}");
        }
    }
}
