//! Parked messages, whose jobs this version does not know. They are kept unchanged for a newer
//! version or an operator. The command `cloakroom jobs unpark` publishes those that this version knows.

use domain::QueueName;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Queue};

use super::connection::with_timeout;
use super::context::{PING_TIMEOUT, QueueContext};
use super::message::{AmqpMessage, QUEUE_HEADER};
use crate::error::QueueError;

/// Parks a message, with the name of the queue it came from.
pub(super) async fn park(
    shared: &QueueContext,
    queue: QueueName,
    body: &[u8],
    properties: &BasicProperties,
) -> Result<(), QueueError> {
    let mut headers = properties.headers().clone().unwrap_or_default();
    headers.insert(QUEUE_HEADER.into(), AMQPValue::LongString(queue.as_str().into()));
    // A parked message is persistent, even if the sender did not make it so.
    let properties = properties.clone().with_headers(headers).with_delivery_mode(2);
    // The default exchange delivers a message to the queue whose name is the message's key.
    shared.publisher.publish("", &shared.topology.parked(), body, &properties).await
}

/// Reads each parked message once. If this version knows its job, publishes the message to its
/// queue; otherwise leaves it parked. Returns how many were published.
pub(super) async fn unpark(shared: &QueueContext) -> Result<usize, QueueError> {
    let channel = shared.consumer_connection.channel(PING_TIMEOUT).await?;
    let queue = shared.topology.parked();
    let (mut published, mut unknown) = (0, Vec::new());
    for _ in 0..with_timeout(message_count(&channel, &queue)).await? {
        let message = channel.basic_get(queue.as_str().into(), BasicGetOptions::default());
        let Some(message) = with_timeout(message).await? else { break };
        let delivery = message.delivery;
        match AmqpMessage::decode(&delivery.data, &delivery.properties) {
            Ok(message) => {
                let (exchange, key) = shared.topology.immediate_route(message.body.queue);
                shared.publisher.publish(&exchange, &key, &delivery.data, &delivery.properties).await?;
                with_timeout(delivery.acker.ack(BasicAckOptions::default())).await?;
                published += 1;
            }
            // The message is returned at the end only, because the broker would otherwise deliver
            // it again as the next one.
            Err(_) => unknown.push(delivery.acker),
        }
    }
    for acker in unknown {
        with_timeout(acker.nack(BasicNackOptions { requeue: true, multiple: false })).await?;
    }
    Ok(published)
}

/// The number of messages in a queue, which must exist.
pub(super) async fn message_count(channel: &Channel, queue: &str) -> lapin::Result<u32> {
    Ok(describe_queue(channel, queue).await?.message_count())
}

/// Asks the broker how many messages and consumers a queue has. The queue must exist.
pub(super) async fn describe_queue(channel: &Channel, queue: &str) -> lapin::Result<Queue> {
    // Passive: declares nothing and only asks.
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, FieldTable::default()).await
}
