//! What stands in the broker: every exchange and queue of ours, with the reason for each flag.
//!
//! ```text
//!            work.v1 (topic)                    now.pictures ─┐
//! publisher ────────────────►  *.pictures ─► pictures.v1   ◄──┤ dead-lettered back with the key it came with
//!            later.v1 (topic)  5s.*       ─► later.5s.v1 ─────┘ when its time is over
//! consumer ──► parked.v1   what this version does not know
//!   broker ──► dead.v1     what was delivered too often
//!   worker ──► verdicts.v1 (direct) ─► one exclusive queue per process that waits
//! ```
//!
//! [`BrokerConnection`](super::link::BrokerConnection) declares all of it on every connection, so an empty broker is as good as an old one. The
//! arguments of a queue that exists can never change: a change is a new name, `v2`, and the old queue is drained first.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use crate::job::QueueName;

/// How long a ticket may be put off: one queue each, because a queue whose messages have different times to live lets a
/// long one at its head keep the short ones behind it. Shared by all lanes.
const RETRY_DELAYS: [(&str, Duration); 5] = [
    ("1s", Duration::from_secs(1)),
    ("5s", Duration::from_secs(5)),
    ("30s", Duration::from_secs(30)),
    ("2m", Duration::from_secs(120)),
    ("10m", Duration::from_secs(600)),
];

/// The names of one installation. Two with different prefixes can share a broker.
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

    /// The exchange of verdicts: the key is the process that waits, or the job.
    pub(super) fn outcome_exchange(&self) -> String {
        self.name("verdicts")
    }

    /// Where a ticket goes that is to be worked on now: exchange and key.
    pub(super) fn immediate_route(&self, queue: QueueName) -> (String, String) {
        (self.name("work"), format!("now.{}", queue.as_str()))
    }

    /// Where a ticket goes that is to be worked on after `delay` at the earliest, or after the longest there is.
    pub(super) fn delayed_route(&self, queue: QueueName, delay: Duration) -> (String, String) {
        let longest = RETRY_DELAYS[RETRY_DELAYS.len() - 1].0;
        let rung = RETRY_DELAYS.iter().find(|(_, wait)| *wait >= delay).map_or(longest, |(rung, _)| rung);
        (self.name("later"), format!("{rung}.{}", queue.as_str()))
    }

    /// Declares everything. On a channel of its own, because a refusal closes the channel.
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
        for (rung, wait) in RETRY_DELAYS {
            let queue = self.name(&format!("later.{rung}"));
            self.queue(channel, &queue, delay_queue_args(wait, &self.name("work"))).await?;
            self.bind(channel, &queue, &self.name("later"), &format!("{rung}.*")).await?;
        }
        Ok(())
    }

    async fn exchange(&self, channel: &Channel, name: &str, kind: ExchangeKind) -> lapin::Result<()> {
        // Durable: it outlives the broker's restart, as the queues bound to it do.
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await
    }

    async fn queue(&self, channel: &Channel, name: &str, arguments: FieldTable) -> lapin::Result<()> {
        // Durable: the only kind of quorum queue there is.
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(name.into(), options, arguments).await.map(drop)
    }

    async fn bind(&self, channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
        channel
            .queue_bind(queue.into(), exchange.into(), key.into(), QueueBindOptions::default(), FieldTable::default())
            .await
    }
}

/// A queue of work.
fn job_queue_args(dead: &str) -> FieldTable {
    let mut arguments = quorum_args();
    // Attempts are counted in the records, before anything is done; this only ends what circles in the broker itself. It
    // is set far above the worker's own limit, because up to 3.13 a ticket handed back by a draining worker counts too,
    // and because 4.0 has a limit of 20 where none is set.
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(200));
    // The default exchange and the queue's own name as the key: no binding that somebody could remove.
    set_dead_letter_args(&mut arguments, "", Some(dead));
    arguments
}

/// A rung of the ladder: nobody consumes it, its messages leave by growing old.
fn delay_queue_args(wait: Duration, work: &str) -> FieldTable {
    let mut arguments = quorum_args();
    let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(millis));
    // No key of its own: the message keeps "5s.pictures", by which the lane is found.
    set_dead_letter_args(&mut arguments, work, None);
    arguments
}

/// What is kept for people to look at: the newest ten thousand for thirty days, so that it cannot fill a disk.
fn retention_args() -> FieldTable {
    let mut arguments = quorum_args();
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(30 * 24 * 3600 * 1000));
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(10_000));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("drop-head".into()));
    arguments
}

/// Replicated and on disk before it is confirmed; the only replicated kind from RabbitMQ 4 on.
fn quorum_args() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments
}

/// Dead-letters at least once: the message leaves this queue when the next has confirmed it, not before. The broker asks
/// for reject-publish with it, since a queue that drops its head could drop what is on its way.
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
