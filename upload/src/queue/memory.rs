//! The queue of one process: a channel per lane. It forgets everything when the process ends, which is why every job
//! has a row in the records.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::QueueError;
use crate::job::{Lane, Ticket};

/// Unbounded, because a ticket is a hundred bytes and each stands for a row and a staged file that were admitted.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    lanes: [(Lane, Channel); Lane::ALL.len()],
}

#[derive(Clone, Debug)]
struct Channel {
    sender: UnboundedSender<Ticket>,
    receiver: Arc<Mutex<UnboundedReceiver<Ticket>>>,
}

impl Default for Memory {
    fn default() -> Self {
        let lanes = Lane::ALL.map(|lane| {
            let (sender, receiver) = unbounded_channel();
            (lane, Channel { sender, receiver: Arc::new(Mutex::new(receiver)) })
        });
        Self { lanes }
    }
}

impl Memory {
    fn channel(&self, lane: Lane) -> &Channel {
        let found = self.lanes.iter().find(|(of, _)| *of == lane);
        &found.unwrap_or(&self.lanes[0]).1
    }

    pub(super) fn publish(&self, ticket: Ticket) -> Result<(), QueueError> {
        self.channel(ticket.lane).sender.send(ticket).map_err(|_| QueueError::Closed)
    }

    pub(super) fn publish_later(&self, ticket: Ticket, delay: Duration) -> Result<(), QueueError> {
        let sender = self.channel(ticket.lane).sender.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            sender.send(ticket).ok();
        });
        Ok(())
    }

    /// Counted by a receiver that can be had just now; one that waits for the next ticket waits in an empty lane.
    pub(super) fn depth(&self, lane: Lane) -> u64 {
        self.channel(lane).receiver.try_lock().map_or(0, |receiver| receiver.len() as u64)
    }

    pub(super) fn consume(&self, lane: Lane) -> Deliveries {
        Deliveries(self.channel(lane).clone())
    }
}

#[derive(Debug)]
pub(super) struct Deliveries(Channel);

impl Deliveries {
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        let ticket = self.0.receiver.lock().await.recv().await?;
        Some(Delivery { ticket, acked: false, lane: self.0.sender.clone() })
    }

    pub(super) async fn try_next(&mut self) -> Option<Delivery> {
        let ticket = self.0.receiver.lock().await.try_recv().ok()?;
        Some(Delivery { ticket, acked: false, lane: self.0.sender.clone() })
    }
}

#[derive(Debug)]
pub(super) struct Delivery {
    ticket: Ticket,
    acked: bool,
    lane: UnboundedSender<Ticket>,
}

impl Delivery {
    pub(super) fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    pub(super) fn ack(mut self) {
        self.acked = true;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.acked {
            self.lane.send(self.ticket.clone()).ok();
        }
    }
}
