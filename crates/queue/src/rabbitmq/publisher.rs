//! Publishes without loss: messages are persistent and mandatory, and the broker has confirmed a message before
//! [`Publisher::publish`] returns `Ok`.
//!
//! All calls in a process share one channel. Each call waits for its own confirm only, so concurrent publishes are
//! pipelined and the broker syncs its disk for many messages at once.

use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::connection::{BrokerConnection, with_timeout};
use crate::error::QueueError;

/// How long a confirm may take. A broker with a resource alarm, or one that cannot write, sends no confirm and no
/// error.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait until a lost connection is replaced: about as long as a reconnect takes after
/// an operator closed the connection. The records hold every job, so clients must not wait for a
/// broker that is down.
const RECONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// The pause before a deleted queue is declared again.
const REDECLARE_DELAY: Duration = Duration::from_millis(300);

#[derive(Debug)]
pub(super) struct Publisher {
    connection: BrokerConnection,
    channel: Mutex<Option<Channel>>,
}

impl Publisher {
    pub(super) fn new(connection: BrokerConnection) -> Self {
        Self { connection, channel: Mutex::new(None) }
    }

    pub(super) fn connection(&self) -> &BrokerConnection {
        &self.connection
    }

    /// Returns once the broker has the message on disk, in a queue.
    ///
    /// If this function had to try twice, the broker may have the message twice. The second
    /// delivery then does nothing, because the records show that the job is taken or done.
    pub(super) async fn publish(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: &BasicProperties,
    ) -> Result<(), QueueError> {
        let deadline = Instant::now() + CONFIRM_TIMEOUT;
        let mut declared = false;
        loop {
            if self.connection.is_blocked() {
                return Err(QueueError::Blocked);
            }
            let attempt = async {
                let channel = self.channel().await?;
                self.publish_once(&channel, exchange, key, body, properties).await
            };
            let error = match tokio::time::timeout_at(deadline, attempt).await {
                Err(_) => return Err(QueueError::Unconfirmed),
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
            };
            match error {
                // The queue has been deleted, so it is declared again after a pause. Without the
                // pause, RabbitMQ 3.10 gives the new queue the consumers of the old one, which
                // never receive anything.
                QueueError::Unroutable(_) if !declared => {
                    tokio::time::sleep(REDECLARE_DELAY).await;
                    self.connection.declare().await?;
                    declared = true;
                }
                // The channel is lost. The next attempt opens another channel, which may work.
                QueueError::Engine(_) if Instant::now() + RECONNECT_TIMEOUT < deadline => {}
                error => return Err(error),
            }
        }
    }

    async fn publish_once(
        &self,
        channel: &Channel,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: &BasicProperties,
    ) -> Result<(), QueueError> {
        // Mandatory: a message that no queue takes is returned instead of being confirmed and lost.
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = channel.basic_publish(exchange.into(), key.into(), options, body, properties.clone()).await?;
        match confirm.await? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) => Err(QueueError::Unroutable(key.to_owned())),
            Confirmation::Nack(_) | Confirmation::NotRequested => Err(QueueError::Refused),
        }
    }

    async fn channel(&self) -> Result<Channel, QueueError> {
        let mut current = self.channel.lock().await;
        if let Some(channel) = current.as_ref().filter(|channel| channel.status().connected()) {
            return Ok(channel.clone());
        }
        let channel = self.connection.channel(RECONNECT_TIMEOUT).await?;
        with_timeout(channel.confirm_select(ConfirmSelectOptions::default())).await?;
        Ok(current.insert(channel).clone())
    }
}
