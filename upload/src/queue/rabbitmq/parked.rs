//! What no worker of this version knows: kept as it came, for a newer version or a person, and taken up again by hand.

use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Queue};

use super::letter::{Letter, QUEUE};
use super::link::step;
use super::{PING, Shared};
use crate::job::Lane;
use crate::queue::QueueError;

/// Puts a message aside, with the queue it was found in.
pub(super) async fn park(
    shared: &Shared,
    lane: Lane,
    body: &[u8],
    properties: &BasicProperties,
) -> Result<(), QueueError> {
    let mut headers = properties.headers().clone().unwrap_or_default();
    headers.insert(QUEUE.into(), AMQPValue::LongString(lane.as_str().into()));
    // Persistent, whatever its sender thought of that.
    let properties = properties.clone().with_headers(headers).with_delivery_mode(2);
    // The default exchange leads to the queue of that name.
    shared.speaking.publish("", &shared.topology.parked(), body, &properties).await
}

/// Puts those that this version knows into their lanes and leaves the others. Each is looked at once.
pub(super) async fn unpark(shared: &Shared) -> Result<usize, QueueError> {
    let channel = shared.hearing.channel(PING).await?;
    let queue = shared.topology.parked();
    let (mut taken, mut unknown) = (0, Vec::new());
    for _ in 0..step(count(&channel, &queue)).await? {
        let found = channel.basic_get(queue.as_str().into(), BasicGetOptions::default());
        let Some(found) = step(found).await? else { break };
        let found = found.delivery;
        match Letter::open(&found.data, &found.properties) {
            Ok(letter) => {
                let (exchange, key) = shared.topology.now(letter.ticket.lane);
                shared.speaking.publish(&exchange, &key, &found.data, &found.properties).await?;
                step(found.acker.ack(BasicAckOptions::default())).await?;
                taken += 1;
            }
            // Held until the end, or it would be the next one again.
            Err(_) => unknown.push(found.acker),
        }
    }
    for acker in unknown {
        step(acker.nack(BasicNackOptions { requeue: true, multiple: false })).await?;
    }
    Ok(taken)
}

/// How many messages lie in a queue. It must be there.
pub(super) async fn count(channel: &Channel, queue: &str) -> lapin::Result<u32> {
    Ok(look(channel, queue).await?.message_count())
}

/// A queue as the broker describes it. It must be there.
pub(super) async fn look(channel: &Channel, queue: &str) -> lapin::Result<Queue> {
    // Passive: it asks and makes nothing.
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, FieldTable::default()).await
}
