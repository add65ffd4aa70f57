//! Publishes jobs right after their upload was admitted, and records in the database which jobs the
//! queue has confirmed. A background task records the confirmations in batches, so that a request
//! needs no statement of its own for this.

use std::time::Duration;

use domain::{JobId, JobMessage};
use queue::Queue;
use records::{PublishAttempt, Records};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;

/// The most confirmations that one statement records.
const BATCH_SIZE: usize = 256;

/// How long a batch is collected. This is far shorter than the time after which the relay publishes an unconfirmed job
/// again.
const BATCH_WINDOW: Duration = Duration::from_millis(250);

/// Publishes jobs. Clones share the recorder of confirmations.
#[derive(Clone)]
pub(crate) struct JobPublisher {
    queue: Queue,
    confirmed: UnboundedSender<JobId>,
}

impl JobPublisher {
    /// Returns a publisher, and its recorder of confirmations. The recorder ends when the last publisher is dropped and
    /// all confirmations are recorded.
    pub(crate) fn start(queue: Queue, records: Records) -> (Self, JoinHandle<()>) {
        let (confirmed, confirmations) = mpsc::unbounded_channel();
        (Self { queue, confirmed }, tokio::spawn(record_confirmations(records, confirmations)))
    }

    /// Publishes a job. If that fails, the relay publishes it later from the records.
    pub(crate) async fn publish(&self, message: &JobMessage) {
        match self.queue.publish(message).await {
            Ok(()) => {
                self.confirmed.send(message.id).ok();
            }
            Err(error) => {
                tracing::warn!(%error, job = %message.id, "a job was not published, so the relay publishes it: {error}")
            }
        }
    }
}

/// Records the confirmations in batches until all publishers are dropped.
async fn record_confirmations(records: Records, mut confirmations: UnboundedReceiver<JobId>) {
    let mut batch = Vec::with_capacity(BATCH_SIZE);
    while confirmations.recv_many(&mut batch, BATCH_SIZE).await > 0 {
        let fill_batch =
            async { while batch.len() < BATCH_SIZE && confirmations.recv_many(&mut batch, BATCH_SIZE).await > 0 {} };
        tokio::time::timeout(BATCH_WINDOW, fill_batch).await.ok();
        // The API publishes only new jobs. A job that has been retried or rescheduled meanwhile has a publish attempt
        // of its own.
        if let Err(error) = records.confirm_published(batch.drain(..).map(PublishAttempt::first)).await {
            // The relay publishes the jobs once more. A worker that gets such a job reads in the records whether there
            // is work left.
            tracing::warn!(%error, "confirmations of jobs were not recorded, so the jobs are published again: {error}");
        }
    }
}
