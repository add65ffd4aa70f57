//! RabbitMQ, 3.10 or newer, through lapin.
//!
//! - `topology` declares exchanges and queues; `message` encodes messages; `connection` keeps the connections.
//! - `publisher` publishes, `consumer` consumes, and `parked` keeps messages of unknown kinds.
//! - `outcomes` sends the outcomes of jobs back to the processes that wait for them;
//!   `reply_targets` remembers these processes.
//! - `context` is the state that all of these share.
//!
//! A job message may be delivered twice and is never lost once [`RabbitMq::publish`] has returned `Ok`. Every wait
//! has a timeout, except the wait for the next delivery.

mod connection;
mod consumer;
mod context;
mod message;
mod outcomes;
mod parked;
mod publisher;
mod reply_targets;
mod topology;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{JobId, JobMessage, Outcome, QueueName, ordered_id};

use crate::broker_address::parse_address;
use crate::engine::{DeliverySource, QueueEngine};
use crate::error::QueueError;
use crate::outcome_waiters::OutcomeWaiters;
use crate::settings::QueueSettings;
use crate::stats::QueueStats;
use connection::{BrokerConnection, with_timeout};
use consumer::Deliveries;
use context::{PING_TIMEOUT, QueueContext};
use message::AmqpMessage;
use outcomes::{OutcomeConsumer, OutcomePublisher};
use publisher::Publisher;
use reply_targets::ReplyTargets;
use topology::Topology;

/// How long a process waits for the broker when it starts. It then continues without the broker, because an api accepts
/// uploads without it.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a shutdown waits for the last outcomes to be sent.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The heartbeat in seconds. A dead peer is detected within two heartbeats. The broker's own default is 60 s.
const HEARTBEAT_SECS: u16 = 10;
/// The largest frame, in bytes. A message has a few hundred bytes. lapin keeps room for 64 frames
/// on each connection. With the broker's default of 128 KiB, that would be 16 MiB for the two
/// connections of a process. RabbitMQ 4.1 refuses less than 8 KiB. The headers of a message, which
/// another client may have written, must fit into one frame.
const MAX_FRAME_BYTES: u32 = 16 << 10;

/// The queue on a broker. Clones share its connections.
#[derive(Clone, Debug)]
pub(crate) struct RabbitMq {
    broker: Arc<QueueContext>,
    outcome_consumer: Arc<OutcomeConsumer>,
    outcome_publisher: Arc<OutcomePublisher>,
    waiters: OutcomeWaiters,
}

impl RabbitMq {
    pub(super) async fn open(settings: &QueueSettings, waiters: OutcomeWaiters) -> Result<Self, QueueError> {
        let mut address = parse_address(&settings.url)?;
        address.uri.query.heartbeat.get_or_insert(HEARTBEAT_SECS);
        address.uri.query.frame_max.get_or_insert(MAX_FRAME_BYTES);
        let topology = Topology::new(&settings.prefix);
        let shared = Arc::new(QueueContext {
            instance: ordered_id(),
            publisher: Publisher::new(BrokerConnection::new(address.clone(), "publishes", topology.clone())),
            consumer_connection: BrokerConnection::new(address, "consumes", topology.clone()),
            topology,
            reply_targets: ReplyTargets::default(),
        });
        let outcome_consumer = Arc::new(OutcomeConsumer::new(Arc::clone(&shared), waiters.clone()));
        let outcome_publisher = Arc::new(OutcomePublisher::new(Arc::clone(&shared)));
        outcome_consumer.wait_until_ready(STARTUP_TIMEOUT).await;
        Ok(Self { broker: shared, outcome_consumer, outcome_publisher, waiters })
    }

    async fn send(&self, exchange: &str, key: &str, message: &JobMessage) -> Result<(), QueueError> {
        let local_waiter = self.waiters.has_waiter(message.id).then_some(self.broker.instance);
        let reply_to = local_waiter.or_else(|| self.broker.reply_targets.get(message.id));
        let message = AmqpMessage { body: message.clone(), reply_to };
        let (body, properties) = message.encode().map_err(|error| QueueError::Codec(error.to_string()))?;
        self.broker.publisher.publish(exchange, key, &body, &properties).await
    }

    async fn queue_stats(&self, queue: QueueName) -> Result<QueueStats, QueueError> {
        let channel = self.broker.consumer_connection.channel(PING_TIMEOUT).await?;
        let description =
            with_timeout(parked::describe_queue(&channel, &self.broker.topology.job_queue(queue))).await?;
        Ok(QueueStats { waiting: description.message_count().into(), consumers: description.consumer_count().into() })
    }
}

#[async_trait]
impl QueueEngine for RabbitMq {
    fn is_volatile(&self) -> bool {
        false
    }

    async fn publish(&self, message: &JobMessage) -> Result<(), QueueError> {
        let (exchange, key) = self.broker.topology.immediate_route(message.queue);
        self.send(&exchange, &key, message).await
    }

    async fn publish_delayed(&self, message: &JobMessage, delay: Duration) -> Result<(), QueueError> {
        let (exchange, key) = self.broker.topology.delayed_route(message.queue, delay);
        self.send(&exchange, &key, message).await
    }

    fn consume(&self, queue: QueueName, prefetch: u16) -> Box<dyn DeliverySource> {
        Box::new(Deliveries::new(Arc::clone(&self.broker), queue, prefetch))
    }

    async fn depth(&self, queue: QueueName) -> Result<u64, QueueError> {
        Ok(self.queue_stats(queue).await?.waiting)
    }

    async fn stats(&self, queue: QueueName) -> Result<Option<QueueStats>, QueueError> {
        self.queue_stats(queue).await.map(Some)
    }

    async fn unpark(&self) -> Result<usize, QueueError> {
        parked::unpark(&self.broker).await
    }

    async fn bind_outcome(&self, job: JobId) -> Option<Box<dyn Any + Send + Sync>> {
        let exchange = self.broker.topology.outcome_exchange();
        Some(Box::new(self.outcome_consumer.bind_job(&exchange, job).await))
    }

    fn publish_outcome(&self, job: JobId, outcome: Outcome) {
        // Waiters in this process have been notified already.
        let to = self.broker.reply_targets.take(job).filter(|process| *process != self.broker.instance);
        self.outcome_publisher.publish(to, job, outcome);
    }

    async fn ping(&self) -> Result<(), QueueError> {
        let connection = self.broker.publisher.connection();
        if connection.is_blocked() {
            return Err(QueueError::Blocked);
        }
        let channel = connection.channel(PING_TIMEOUT).await?;
        with_timeout(channel.close(200, "pong".into())).await
    }

    async fn close(&self) {
        tokio::time::timeout(CLOSE_TIMEOUT, self.outcome_publisher.flush()).await.ok();
        self.broker.publisher.connection().close().await;
        self.broker.consumer_connection.close().await;
    }
}
