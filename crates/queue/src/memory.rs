//! The queue of a single process: one channel per queue. It loses everything when the process ends, which is why
//! every job has a row in the records.

use std::sync::Arc;
use std::time::Duration;

use domain::{JobMessage, QueueName};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::error::QueueError;

/// Unbounded, because a message takes about a hundred bytes and each stands for a row and a staged file that were
/// admitted.
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

    pub(super) fn publish(&self, message: JobMessage) -> Result<(), QueueError> {
        self.channel(message.queue).sender.send(message).map_err(|_| QueueError::Closed)
    }

    pub(super) fn publish_delayed(&self, message: JobMessage, delay: Duration) -> Result<(), QueueError> {
        let sender = self.channel(message.queue).sender.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            sender.send(message).ok();
        });
        Ok(())
    }

    /// Counted by a receiver if it is free now. A receiver that waits for the next message waits in an empty queue.
    pub(super) fn depth(&self, queue: QueueName) -> u64 {
        self.channel(queue).receiver.try_lock().map_or(0, |receiver| receiver.len() as u64)
    }

    pub(super) fn consume(&self, queue: QueueName) -> Deliveries {
        Deliveries(self.channel(queue).clone())
    }
}

#[derive(Debug)]
pub(super) struct Deliveries(MemoryChannel);

impl Deliveries {
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        let message = self.0.receiver.lock().await.recv().await?;
        Some(Delivery { message, acked: false, sender: self.0.sender.clone() })
    }

    pub(super) async fn try_next(&mut self) -> Option<Delivery> {
        let message = self.0.receiver.lock().await.try_recv().ok()?;
        Some(Delivery { message, acked: false, sender: self.0.sender.clone() })
    }
}

#[derive(Debug)]
pub(super) struct Delivery {
    message: JobMessage,
    acked: bool,
    sender: UnboundedSender<JobMessage>,
}

impl Delivery {
    pub(super) fn message(&self) -> &JobMessage {
        &self.message
    }

    pub(super) fn ack(mut self) {
        self.acked = true;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.acked {
            self.sender.send(self.message.clone()).ok();
        }
    }
}
