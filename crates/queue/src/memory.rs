//! The engine for a single process: one channel per queue. It loses all messages when the process ends. The jobs
//! are not lost, because every job has a row in the records.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{JobId, JobMessage, Outcome, QueueName};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::engine::{DeliverySource, HeldDelivery, QueueEngine};
use crate::error::QueueError;
use crate::stats::QueueStats;

/// The queues of one process. They are unbounded, because a message takes about a hundred bytes and
/// stands for a row and a staged file, which admission has accepted already.
#[derive(Clone, Debug)]
pub(super) struct MemoryQueue {
    queues: [(QueueName, MemoryChannel); QueueName::ALL.len()],
}

#[derive(Clone, Debug)]
struct MemoryChannel {
    sender: UnboundedSender<JobMessage>,
    receiver: Arc<Mutex<UnboundedReceiver<JobMessage>>>,
}

impl Default for MemoryQueue {
    fn default() -> Self {
        let queues = QueueName::ALL.map(|queue| {
            let (sender, receiver) = unbounded_channel();
            (queue, MemoryChannel { sender, receiver: Arc::new(Mutex::new(receiver)) })
        });
        Self { queues }
    }
}

impl MemoryQueue {
    fn channel(&self, queue: QueueName) -> &MemoryChannel {
        let entry = self.queues.iter().find(|(name, _)| *name == queue);
        &entry.unwrap_or(&self.queues[0]).1
    }
}

#[async_trait]
impl QueueEngine for MemoryQueue {
    fn is_volatile(&self) -> bool {
        true
    }

    async fn publish(&self, message: &JobMessage) -> Result<(), QueueError> {
        self.channel(message.queue).sender.send(message.clone()).map_err(|_| QueueError::Closed)
    }

    async fn publish_delayed(&self, message: &JobMessage, delay: Duration) -> Result<(), QueueError> {
        let (sender, message) = (self.channel(message.queue).sender.clone(), message.clone());
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            sender.send(message).ok();
        });
        Ok(())
    }

    /// Ignores `prefetch`: a message leaves the channel only when a consumer asks for it, so there is nothing to
    /// limit.
    fn consume(&self, queue: QueueName, _prefetch: u16) -> Box<dyn DeliverySource> {
        Box::new(Deliveries(self.channel(queue).clone()))
    }

    /// Counts the messages if no consumer holds the receiver now. A consumer holds the receiver while
    /// it waits for the next message. The queue is empty then, so the answer is 0.
    async fn depth(&self, queue: QueueName) -> Result<u64, QueueError> {
        Ok(self.channel(queue).receiver.try_lock().map_or(0, |receiver| receiver.len() as u64))
    }

    async fn stats(&self, _queue: QueueName) -> Result<Option<QueueStats>, QueueError> {
        Ok(None)
    }

    async fn unpark(&self) -> Result<usize, QueueError> {
        Ok(0)
    }

    async fn bind_outcome(&self, _job: JobId) -> Option<Box<dyn Any + Send + Sync>> {
        None
    }

    fn publish_outcome(&self, _job: JobId, _outcome: Outcome) {}

    async fn close(&self) {}

    async fn ping(&self) -> Result<(), QueueError> {
        Ok(())
    }
}

#[derive(Debug)]
struct Deliveries(MemoryChannel);

#[async_trait]
impl DeliverySource for Deliveries {
    async fn next(&mut self) -> Option<Box<dyn HeldDelivery>> {
        let message = self.0.receiver.lock().await.recv().await?;
        Some(Box::new(Delivery { message, acked: false, sender: self.0.sender.clone() }))
    }

    async fn try_next(&mut self) -> Option<Box<dyn HeldDelivery>> {
        let message = self.0.receiver.lock().await.try_recv().ok()?;
        Some(Box::new(Delivery { message, acked: false, sender: self.0.sender.clone() }))
    }
}

#[derive(Debug)]
struct Delivery {
    message: JobMessage,
    acked: bool,
    sender: UnboundedSender<JobMessage>,
}

#[async_trait]
impl HeldDelivery for Delivery {
    fn message(&self) -> &JobMessage {
        &self.message
    }

    async fn ack(mut self: Box<Self>) -> Result<(), QueueError> {
        self.acked = true;
        Ok(())
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.acked {
            self.sender.send(self.message.clone()).ok();
        }
    }
}
