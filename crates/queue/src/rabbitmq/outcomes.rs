//! Outcomes between processes. A process that waits has one exclusive queue, bound by its own id. A job message names
//! the process that waits for it, so an outcome goes to that process only.
//!
//! Waiting for a job that another process enqueued is rare (two clients request the same picture). Such a waiter
//! binds the queue of its process to the job's id as long as it waits. Neither that queue nor an outcome message is
//! durable or confirmed, because every waiter reads the records when its timeout ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{JobId, Outcome};
use futures::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use super::connection::{BrokerConnection, with_timeout};
use super::context::QueueContext;
use crate::error::QueueError;
use crate::outcome_waiters::OutcomeWaiters;

/// How long a waiter waits for its binding to be made. Without the binding, the waiter finds the
/// outcome in the records when its own timeout ends.
const BIND_TIMEOUT: Duration = Duration::from_secs(1);
/// The number of outcomes that may wait for a broker that is not available. Further outcomes are dropped, because
/// waiters find them in the records.
const MAX_PENDING: usize = 4096;
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// An outcome as a message.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OutcomeMessage {
    job: JobId,
    #[serde(flatten)]
    outcome: Outcome,
}

/// Receives outcomes and notifies the waiters in this process.
#[derive(Debug)]
pub(super) struct OutcomeConsumer {
    endpoint: watch::Receiver<Option<(Channel, String)>>,
    bound_jobs: Arc<Mutex<HashMap<JobId, usize>>>,
    task: tokio::task::AbortHandle,
}

impl OutcomeConsumer {
    pub(super) fn new(shared: Arc<QueueContext>, waiters: OutcomeWaiters) -> Self {
        let (sender, endpoint) = watch::channel(None);
        let bound_jobs: Arc<Mutex<HashMap<JobId, usize>>> = Arc::default();
        let jobs = Arc::clone(&bound_jobs);
        let listener = tokio::spawn(async move {
            loop {
                if let Err(error) = consume_outcomes(&shared, &waiters, &jobs, &sender).await {
                    tracing::debug!(%error, "outcomes cannot be consumed; consuming is retried");
                }
                sender.send_replace(None);
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        });
        Self { endpoint, bound_jobs, task: listener.abort_handle() }
    }

    /// Returns once outcomes can be received, or after `timeout`.
    pub(super) async fn wait_until_ready(&self, timeout: Duration) {
        let mut endpoint = self.endpoint.clone();
        tokio::time::timeout(timeout, endpoint.wait_for(Option::is_some)).await.ok();
    }

    /// Makes the outcome of a job that another process enqueued arrive in this process, until the returned binding is
    /// dropped.
    pub(super) async fn bind_job(self: &Arc<Self>, exchange: &str, job: JobId) -> ConsumerBinding {
        *self.bound_jobs.lock().unwrap_or_else(PoisonError::into_inner).entry(job).or_default() += 1;
        let binding = ConsumerBinding { consumer: Arc::clone(self), exchange: exchange.to_owned(), job };
        let endpoint = self.endpoint.borrow().clone();
        if let Some((channel, queue)) = endpoint {
            tokio::time::timeout(BIND_TIMEOUT, bind(&channel, &queue, exchange, &job.simple().to_string())).await.ok();
        }
        binding
    }
}

impl Drop for OutcomeConsumer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Keeps the binding of a job for one waiter. When the last waiter of the job drops its value, the binding is removed.
#[derive(Debug)]
pub(crate) struct ConsumerBinding {
    consumer: Arc<OutcomeConsumer>,
    exchange: String,
    job: JobId,
}

impl Drop for ConsumerBinding {
    fn drop(&mut self) {
        let mut bound_jobs = self.consumer.bound_jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiters) = bound_jobs.get_mut(&self.job) else { return };
        *waiters -= 1;
        if *waiters > 0 {
            return;
        }
        bound_jobs.remove(&self.job);
        let endpoint = self.consumer.endpoint.borrow().clone();
        let (Some((channel, queue)), Ok(runtime)) = (endpoint, tokio::runtime::Handle::try_current()) else { return };
        let (exchange, key) = (self.exchange.clone(), self.job.simple().to_string());
        runtime.spawn(async move {
            with_timeout(channel.queue_unbind(queue.into(), exchange.into(), key.into(), FieldTable::default()))
                .await
                .ok();
        });
    }
}

async fn consume_outcomes(
    shared: &QueueContext,
    waiters: &OutcomeWaiters,
    bound_jobs: &Mutex<HashMap<JobId, usize>>,
    endpoint: &watch::Sender<Option<(Channel, String)>>,
) -> Result<(), QueueError> {
    let channel = shared.consumer_connection.channel(Duration::MAX).await?;
    // Exclusive: the queue belongs to this process and is deleted with its connection. RabbitMQ 4.3 lets no other
    // kind of queue be transient. The broker chooses the queue's name, because the name of a queue whose connection
    // was just lost may still be in use.
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    let queue =
        with_timeout(channel.queue_declare("".into(), options, FieldTable::default())).await?.name().to_string();
    let exchange = shared.topology.outcome_exchange();
    with_timeout(bind(&channel, &queue, &exchange, &shared.instance.simple().to_string())).await?;
    // The bindings of waiters that began before this connection are made again on the new queue.
    let jobs: Vec<JobId> = bound_jobs.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
    for job in jobs {
        with_timeout(bind(&channel, &queue, &exchange, &job.simple().to_string())).await?;
    }
    // No acknowledgement, because a lost outcome is found in the records.
    let options = BasicConsumeOptions { no_ack: true, exclusive: true, ..BasicConsumeOptions::default() };
    let consumer = channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
    let mut consumer = with_timeout(consumer).await?;
    endpoint.send_replace(Some((channel, queue)));
    while let Some(delivery) = consumer.next().await {
        match serde_json::from_slice::<OutcomeMessage>(&delivery?.data) {
            Ok(message) => waiters.notify(message.job, message.outcome),
            Err(error) => tracing::debug!(%error, "ignored an outcome message that this version does not know"),
        }
    }
    Ok(())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default()).await
}

/// Publishes outcomes to other processes, in order, without blocking the caller.
#[derive(Debug)]
pub(super) struct OutcomePublisher(mpsc::Sender<PendingPublish>);

#[derive(Debug)]
enum PendingPublish {
    Publish { reply_to: Option<Uuid>, message: OutcomeMessage },
    Flush(oneshot::Sender<()>),
}

impl OutcomePublisher {
    pub(super) fn new(shared: Arc<QueueContext>) -> Self {
        let (sender, mut receiver) = mpsc::channel(MAX_PENDING);
        tokio::spawn(async move {
            let exchange = shared.topology.outcome_exchange();
            let mut channel = None;
            while let Some(pending) = receiver.recv().await {
                match pending {
                    PendingPublish::Publish { reply_to, message } => {
                        if publish_outcome(shared.publisher.connection(), &mut channel, &exchange, reply_to, &message)
                            .await
                            .is_err()
                        {
                            channel = None;
                            metrics::counter!("cloakroom_verdicts_unheard_total").increment(1);
                        }
                    }
                    PendingPublish::Flush(done) => done.send(()).unwrap_or_default(),
                }
            }
        });
        Self(sender)
    }

    /// Publishes an outcome. `to` is the process that waits, if it is known; other waiters receive it by the job's
    /// id.
    pub(super) fn publish(&self, to: Option<Uuid>, job: JobId, outcome: Outcome) {
        if self.0.try_send(PendingPublish::Publish { reply_to: to, message: OutcomeMessage { job, outcome } }).is_err()
        {
            metrics::counter!("cloakroom_verdicts_unheard_total").increment(1);
        }
    }

    /// Returns once all outcomes published before have been sent.
    pub(super) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.0.send(PendingPublish::Flush(done)).await.is_ok() {
            flushed.await.ok();
        }
    }
}

async fn publish_outcome(
    connection: &BrokerConnection,
    channel_slot: &mut Option<Channel>,
    exchange: &str,
    to: Option<Uuid>,
    message: &OutcomeMessage,
) -> Result<(), QueueError> {
    let channel = match channel_slot {
        Some(channel) if channel.status().connected() => channel,
        _ => channel_slot.insert(connection.channel(RETRY_PAUSE).await?),
    };
    if connection.is_blocked() {
        return Err(QueueError::Blocked);
    }
    let body = serde_json::to_vec(message).map_err(|error| QueueError::Codec(error.to_string()))?;
    let mut headers = FieldTable::default();
    if let Some(instance) = to {
        // One message with two keys (RabbitMQ's sender-selected distribution): one for the process
        // that waits, and one for the processes that bound the job. A queue to which both keys lead
        // gets the message once.
        let instance = AMQPValue::LongString(instance.simple().to_string().into());
        headers.insert("CC".into(), AMQPValue::FieldArray(vec![instance].into()));
    }
    // Neither persistent nor mandatory, because a job usually has no waiter.
    let properties = BasicProperties::default()
        .with_delivery_mode(1)
        .with_content_type("application/json".into())
        .with_headers(headers);
    let key = message.job.simple().to_string();
    let options = BasicPublishOptions::default();
    with_timeout(channel.basic_publish(exchange.into(), key.into(), options, &body, properties)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Reason;

    /// The texts are fixed, because an old worker's outcome may reach a new api, and a new worker's outcome an old api.
    #[test]
    fn an_outcome_message_is_decoded_by_every_version() {
        for (text, outcome) in [
            (r#"{"job":"00000000-0000-0000-0000-000000000007","verdict":"ready"}"#, Outcome::Ready),
            (
                r#"{"job":"00000000-0000-0000-0000-000000000007","verdict":"rejected","code":"c","why":"w"}"#,
                Outcome::Rejected(Reason::new("c", "w")),
            ),
        ] {
            let message = OutcomeMessage { job: JobId::from_u128(7), outcome };
            assert_eq!(serde_json::from_str::<OutcomeMessage>(text).unwrap(), message);
            assert_eq!(serde_json::to_string(&message).unwrap(), text);
        }
    }
}
