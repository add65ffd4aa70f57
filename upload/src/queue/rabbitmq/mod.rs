//! RabbitMQ, 3.10 or newer, by lapin. `topology` is what stands in the broker, `message` what travels, `link` the
//! connections, `publisher` and `consumer` the two directions, `outcome_consumer` the way back for verdicts.
//!
//! A ticket may be delivered twice and is never lost once [`RabbitMq::publish`] has returned. Everything waits with
//! bounded patience, except for the next delivery, which may be long in coming.

mod address;
mod connection;
mod consumer;
mod message;
mod outcomes;
mod parked;
mod publisher;
mod topology;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::outcome_waiters::OutcomeWaiters;
use super::{QueueError, QueueSettings, QueueStats};
use crate::job::{JobMessage, QueueName};
use crate::{JobId, Outcome};
pub(super) use address::{parse_address, trust_ca_file};
use connection::{BrokerConnection, with_timeout};
pub(super) use consumer::{Deliveries, Delivery};
use message::AmqpMessage;
pub(super) use outcomes::ConsumerBinding;
use outcomes::{OutcomeConsumer, OutcomePublisher};
use publisher::Publisher;
use topology::Topology;

/// How long a start waits for the broker. It goes on without it, because an api accepts without it.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a shutdown waits for the last verdicts to be sent.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// A dead peer is found within two of these. The broker's own default is a minute.
const HEARTBEAT_SECS: u16 = 10;
/// The largest frame, in bytes. A letter has a few hundred, and lapin keeps room for 64 frames on each connection: with
/// the broker's own default, 128 KiB, that is 16 MiB in every process. RabbitMQ 4.1 refuses less than 8 KiB, and the
/// headers of a letter that others may have written to have to fit into one.
const MAX_FRAME_BYTES: u32 = 16 << 10;
/// Of how many tickets delivered here it is remembered who waits for them: far more than are worked on at a time.
const MAX_REPLY_TARGETS: usize = 4096;

#[derive(Clone, Debug)]
pub(super) struct RabbitMq {
    broker: Arc<BrokerContext>,
    outcome_consumer: Arc<OutcomeConsumer>,
    outcome_publisher: Arc<OutcomePublisher>,
    waiters: OutcomeWaiters,
}

/// What the parts of one process's queue have in common.
#[derive(Debug)]
struct BrokerContext {
    topology: Topology,
    /// This process's name among those who wait.
    instance: Uuid,
    publisher: Publisher,
    consumer_connection: BrokerConnection,
    reply_targets: Mutex<ReplyTargets>,
}

/// Who waits for the tickets that were delivered here.
#[derive(Debug, Default)]
struct ReplyTargets {
    by_job: HashMap<JobId, Uuid>,
    order: VecDeque<JobId>,
}

impl RabbitMq {
    pub(super) async fn open(settings: &QueueSettings, waiters: OutcomeWaiters) -> Result<Self, QueueError> {
        let mut address = parse_address(settings)?;
        address.uri.query.heartbeat.get_or_insert(HEARTBEAT_SECS);
        address.uri.query.frame_max.get_or_insert(MAX_FRAME_BYTES);
        let topology = Topology::new(&settings.prefix);
        let shared = Arc::new(BrokerContext {
            instance: Uuid::now_v7(),
            publisher: Publisher::new(BrokerConnection::new(address.clone(), "publishes", topology.clone())),
            consumer_connection: BrokerConnection::new(address, "consumes", topology.clone()),
            topology,
            reply_targets: Mutex::default(),
        });
        let outcome_consumer = Arc::new(OutcomeConsumer::new(Arc::clone(&shared), waiters.clone()));
        let outcome_publisher = Arc::new(OutcomePublisher::new(Arc::clone(&shared)));
        outcome_consumer.wait_until_ready(STARTUP_TIMEOUT).await;
        Ok(Self { broker: shared, outcome_consumer, outcome_publisher, waiters })
    }

    pub(super) async fn publish(&self, message: &JobMessage) -> Result<(), QueueError> {
        let (exchange, key) = self.broker.topology.immediate_route(message.queue);
        self.send(&exchange, &key, message).await
    }

    pub(super) async fn publish_delayed(&self, message: &JobMessage, delay: Duration) -> Result<(), QueueError> {
        let (exchange, key) = self.broker.topology.delayed_route(message.queue, delay);
        self.send(&exchange, &key, message).await
    }

    async fn send(&self, exchange: &str, key: &str, message: &JobMessage) -> Result<(), QueueError> {
        let here = self.waiters.has_waiter(message.id).then_some(self.broker.instance);
        let reply_to = here.or_else(|| self.broker.reply_target(message.id));
        let message = AmqpMessage { body: message.clone(), reply_to };
        let (body, properties) = message.encode().map_err(|error| QueueError::Codec(error.to_string()))?;
        self.broker.publisher.publish(exchange, key, &body, &properties).await
    }

    pub(super) fn consume(&self, queue: QueueName, prefetch: u16) -> Deliveries {
        Deliveries::new(Arc::clone(&self.broker), queue, prefetch)
    }

    pub(super) async fn depth(&self, queue: QueueName) -> Result<u64, QueueError> {
        Ok(self.stats(queue).await?.waiting)
    }

    pub(super) async fn stats(&self, queue: QueueName) -> Result<QueueStats, QueueError> {
        let channel = self.broker.consumer_connection.channel(PING_TIMEOUT).await?;
        let found = with_timeout(parked::describe_queue(&channel, &self.broker.topology.job_queue(queue))).await?;
        Ok(QueueStats { waiting: found.message_count().into(), consumers: found.consumer_count().into() })
    }

    pub(super) async fn unpark(&self) -> Result<usize, QueueError> {
        parked::unpark(&self.broker).await
    }

    pub(super) async fn bind_outcome(&self, job: JobId) -> ConsumerBinding {
        self.outcome_consumer.bind_job(&self.broker.topology.outcome_exchange(), job).await
    }

    pub(super) fn publish_outcome(&self, job: JobId, outcome: Outcome) {
        // Who waits here has been told already.
        let to = self.broker.take_reply_target(job).filter(|process| *process != self.broker.instance);
        self.outcome_publisher.publish(to, job, outcome);
    }

    pub(super) async fn ping(&self) -> Result<(), QueueError> {
        let link = self.broker.publisher.connection();
        if link.is_blocked() {
            return Err(QueueError::Blocked);
        }
        let channel = link.channel(PING_TIMEOUT).await?;
        with_timeout(channel.close(200, "pong".into())).await
    }

    pub(super) async fn close(&self) {
        tokio::time::timeout(CLOSE_TIMEOUT, self.outcome_publisher.flush()).await.ok();
        self.broker.publisher.connection().close().await;
        self.broker.consumer_connection.close().await;
    }
}

impl BrokerContext {
    fn reply_targets(&self) -> std::sync::MutexGuard<'_, ReplyTargets> {
        self.reply_targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember_reply_target(&self, message: &AmqpMessage) {
        let Some(process) = message.reply_to else { return };
        let mut waiting = self.reply_targets();
        if waiting.by_job.insert(message.body.id, process).is_none() {
            waiting.order.push_back(message.body.id);
        }
        while waiting.order.len() > MAX_REPLY_TARGETS {
            if let Some(oldest) = waiting.order.pop_front() {
                waiting.by_job.remove(&oldest);
            }
        }
    }

    fn reply_target(&self, job: JobId) -> Option<Uuid> {
        self.reply_targets().by_job.get(&job).copied()
    }

    fn take_reply_target(&self, job: JobId) -> Option<Uuid> {
        self.reply_targets().by_job.remove(&job)
    }
}
