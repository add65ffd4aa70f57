//! The exchanges and queues in the broker, with the reason for each flag.
//!
//! ```text
//!            work.v1 (topic)                    now.pictures ─┐
//! publisher ────────────────►  *.pictures ─► pictures.v1   ◄──┤ dead-lettered back with the key it came with
//!            later.v1 (topic)  5s.*       ─► later.5s.v1 ─────┘ when its delay is over
//! consumer ──► parked.v1   what this version does not know
//!   broker ──► dead.v1     what was delivered too often
//!   worker ──► outcomes.v1 (direct) ─► one exclusive queue per process that waits
//! ```
//!
//! [`BrokerConnection`](super::connection::BrokerConnection) declares all of it on every
//! connection, so a broker needs no preparation. The arguments of a queue that exists can never
//! change: a change needs a new name, `v2`, and the old queue is drained first.

use std::time::Duration;

use domain::QueueName;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

/// The delays of rescheduled jobs. Each delay has its own queue, because messages leave only from
/// the head of a queue: a message with a long delay would hold back the messages behind it. All job
/// queues share the delay queues.
const RETRY_DELAYS: [(&str, Duration); 5] = [
    ("1s", Duration::from_secs(1)),
    ("5s", Duration::from_secs(5)),
    ("30s", Duration::from_secs(30)),
    ("2m", Duration::from_secs(120)),
    ("10m", Duration::from_secs(600)),
];

/// The names of one installation. Two installations with different prefixes can share a broker.
#[derive(Clone, Debug)]
pub(super) struct Topology {
    prefix: String,
}

impl Topology {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    fn name(&self, what: &str) -> String {
        format!("{}.{what}.v1", self.prefix)
    }

    pub(super) fn job_queue(&self, queue: QueueName) -> String {
        self.name(queue.as_str())
    }

    pub(super) fn parked(&self) -> String {
        self.name("parked")
    }

    pub(super) fn dead(&self) -> String {
        self.name("dead")
    }

    /// The exchange of outcomes: the key is the process that waits, or the job.
    pub(super) fn outcome_exchange(&self) -> String {
        self.name("outcomes")
    }

    /// The exchange and key of a message to be delivered now.
    pub(super) fn immediate_route(&self, queue: QueueName) -> (String, String) {
        (self.name("work"), format!("now.{}", queue.as_str()))
    }

    /// The exchange and key of a message to be delivered after `delay` at the earliest. If `delay` is
    /// longer than the longest of `RETRY_DELAYS`, that longest one is used.
    pub(super) fn delayed_route(&self, queue: QueueName, delay: Duration) -> (String, String) {
        let longest = RETRY_DELAYS[RETRY_DELAYS.len() - 1].0;
        let label = RETRY_DELAYS.iter().find(|(_, wait)| *wait >= delay).map_or(longest, |(label, _)| label);
        (self.name("later"), format!("{label}.{}", queue.as_str()))
    }

    /// Declares all exchanges, queues and bindings. `channel` must serve nothing else, because the broker
    /// closes it when it refuses a declaration.
    pub(super) async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        for exchange in ["work", "later"] {
            self.exchange(channel, &self.name(exchange), ExchangeKind::Topic).await?;
        }
        self.exchange(channel, &self.outcome_exchange(), ExchangeKind::Direct).await?;
        for queue in [self.parked(), self.dead()] {
            self.queue(channel, &queue, retention_args()).await?;
        }
        for queue_name in QueueName::ALL {
            let queue = self.job_queue(queue_name);
            self.queue(channel, &queue, job_queue_args(&self.dead())).await?;
            self.bind(channel, &queue, &self.name("work"), &format!("*.{}", queue_name.as_str())).await?;
        }
        for (label, wait) in RETRY_DELAYS {
            let queue = self.name(&format!("later.{label}"));
            self.queue(channel, &queue, delay_queue_args(wait, &self.name("work"))).await?;
            self.bind(channel, &queue, &self.name("later"), &format!("{label}.*")).await?;
        }
        Ok(())
    }

    async fn exchange(&self, channel: &Channel, name: &str, kind: ExchangeKind) -> lapin::Result<()> {
        // Durable: the exchange survives a restart of the broker, as the queues bound to it do.
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await
    }

    async fn queue(&self, channel: &Channel, name: &str, arguments: FieldTable) -> lapin::Result<()> {
        // Durable, because quorum queues can be nothing else.
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(name.into(), options, arguments).await.map(drop)
    }

    async fn bind(&self, channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
        channel
            .queue_bind(queue.into(), exchange.into(), key.into(), QueueBindOptions::default(), FieldTable::default())
            .await
    }
}

/// The arguments of a job queue.
fn job_queue_args(dead: &str) -> FieldTable {
    let mut arguments = quorum_args();
    // The records count attempts before any work is done. This limit only ends messages that circle
    // in the broker itself. It is far above the worker's own limit, because up to RabbitMQ 3.13 a
    // message that a draining worker returns counts as a delivery too. The limit must be set, because
    // RabbitMQ 4.0 has a limit of 20 if none is set.
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(200));
    // Dead letters go through the default exchange, with the name of the dead queue as the key. Every
    // queue is bound to the default exchange by its name, and that binding cannot be removed.
    set_dead_letter_args(&mut arguments, "", Some(dead));
    arguments
}

/// The arguments of a delay queue. It has no consumer; its messages leave when they expire.
fn delay_queue_args(wait: Duration, work: &str) -> FieldTable {
    let mut arguments = quorum_args();
    let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(millis));
    // No dead-letter key is set, so the message keeps a key such as "5s.pictures", which names its job queue.
    set_dead_letter_args(&mut arguments, work, None);
    arguments
}

/// The arguments of a queue kept for operators. It keeps the newest ten thousand messages for
/// thirty days, so that it cannot fill a disk.
fn retention_args() -> FieldTable {
    let mut arguments = quorum_args();
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(30 * 24 * 3600 * 1000));
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(10_000));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("drop-head".into()));
    arguments
}

/// The arguments of a quorum queue. A quorum queue is replicated, and a message is on disk before it
/// is confirmed. From RabbitMQ 4 on, it is the only kind of queue that is replicated.
fn quorum_args() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments
}

/// Sets dead-lettering at least once: a message leaves its queue only when the next queue has confirmed it. The
/// broker requires `reject-publish` for this strategy, because a queue that drops its head could drop a message in
/// transit.
fn set_dead_letter_args(arguments: &mut FieldTable, exchange: &str, key: Option<&str>) {
    arguments.insert("x-dead-letter-strategy".into(), AMQPValue::LongString("at-least-once".into()));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString(exchange.into()));
    if let Some(key) = key {
        arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(key.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_rounded_up_to_a_retry_delay() {
        let topology = Topology::new("t");
        for (millis, key) in [
            (0, "1s.pictures"),
            (1_000, "1s.pictures"),
            (1_001, "5s.pictures"),
            (30_000, "30s.pictures"),
            (3_600_000, "10m.pictures"),
        ] {
            let (exchange, found) = topology.delayed_route(QueueName::Pictures, Duration::from_millis(millis));
            assert_eq!((exchange.as_str(), found.as_str()), ("t.later.v1", key));
        }
    }
}
