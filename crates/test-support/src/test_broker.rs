//! A RabbitMQ namespace for one test, and the operator actions that a test needs.

use std::time::Duration;

use domain::Secret;
use instrument::FailPoints;
use lapin::options::{BasicPublishOptions, ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use queue::{Queue, QueueSettings};

use crate::engine_address::host;
use crate::leftovers::assert_none;
use crate::proxy::Proxy;

/// The queues and exchanges of one test. Dropping this value fails a test that has not deleted them.
pub struct TestBroker {
    pub url: String,
    pub prefix: String,
    pub channel: Channel,
    _connection: Connection,
    is_deleted: bool,
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        if !self.is_deleted && !std::thread::panicking() {
            assert_none(&[format!("the queues {}", self.full_name("…"))]);
        }
    }
}

/// The queues that `crates/queue/src/rabbitmq/topology.rs` declares.
pub(crate) const QUEUES: [&str; 12] = [
    "pictures",
    "variants",
    "renditions",
    "bulk",
    "heavy",
    "parked",
    "dead",
    "later.1s",
    "later.5s",
    "later.30s",
    "later.2m",
    "later.10m",
];
pub(crate) const EXCHANGES: [&str; 3] = ["work", "later", "outcomes"];

impl TestBroker {
    /// Connects to the broker. Prints a message and returns None if no address of a broker is given.
    pub async fn start() -> Option<Self> {
        let Ok(url) = std::env::var("CLOAKROOM_TEST_AMQP") else {
            eprintln!("skipped: this needs RabbitMQ; give its address in CLOAKROOM_TEST_AMQP, or use tests/run");
            return None;
        };
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let prefix = format!("test-{}", uuid::Uuid::now_v7().simple());
        Some(Self { url, prefix, channel, _connection: connection, is_deleted: false })
    }

    pub fn full_name(&self, what: &str) -> String {
        format!("{}.{what}.v1", self.prefix)
    }

    /// `host:port` of the broker.
    pub fn host(&self) -> &str {
        host(&self.url)
    }

    /// The broker's address through a proxy.
    pub fn url_through(&self, proxy: &Proxy) -> String {
        self.url.replace(self.host(), &format!("127.0.0.1:{}", proxy.port))
    }

    /// Opens the queue backend of a process.
    pub async fn queue(&self) -> Queue {
        self.queue_at(&self.url).await
    }

    /// Opens the queue backend of a process that reaches the broker by another address.
    pub async fn queue_at(&self, url: &str) -> Queue {
        let settings = QueueSettings { url: Secret::new(url), prefix: self.prefix.clone(), ..QueueSettings::default() };
        Queue::open(&settings, FailPoints::default()).await.unwrap()
    }

    /// The number of messages in a queue, without the messages that a consumer holds.
    pub async fn count(&self, what: &str) -> u32 {
        let options = lapin::options::QueueDeclareOptions { passive: true, durable: true, ..Default::default() };
        let found = self.channel.queue_declare(self.full_name(what).into(), options, Default::default()).await;
        found.unwrap().message_count()
    }

    /// Waits until a queue has this number of messages.
    pub async fn wait_for_count(&self, what: &str, count: u32) {
        let reached = async {
            while self.count(what).await != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), reached).await.expect("the queue holds that many");
    }

    /// Publishes a raw body, as a program other than Cloakroom might do.
    pub async fn publish_raw(&self, what: &str, body: &str) {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let sent = self.channel.basic_publish(
            "".into(),
            self.full_name(what).into(),
            options,
            body.as_bytes(),
            BasicProperties::default(),
        );
        sent.await.unwrap().await.unwrap();
    }

    pub async fn delete(&self, what: &str) {
        self.channel.queue_delete(self.full_name(what).into(), QueueDeleteOptions::default()).await.unwrap();
    }

    /// Waits until the queues of pictures and variants are empty, then deletes all queues and
    /// exchanges.
    pub async fn delete_all(self) {
        self.wait_for_count("pictures", 0).await;
        self.wait_for_count("variants", 0).await;
        self.delete_queues().await;
    }

    /// Deletes the queues and exchanges at once, for a test that may leave messages which were
    /// delivered twice.
    pub async fn delete_queues(mut self) {
        for queue in QUEUES {
            self.delete(queue).await;
        }
        for exchange in EXCHANGES {
            let name = self.full_name(exchange);
            self.channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await.unwrap();
        }
        self.is_deleted = true;
    }
}
