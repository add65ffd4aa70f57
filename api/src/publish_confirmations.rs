//! Noting in the records what the queue has confirmed, in batches beside the requests instead of once in each.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use upload::{JobId, PublishAttempt, Records};

/// The most that one statement notes.
const BATCH_SIZE: usize = 256;

/// How long a batch gathers. Far shorter than the relay's grace, after which it would publish again.
const BATCH_WINDOW: Duration = Duration::from_millis(250);

/// Runs until the last sender is gone and everything has been noted.
pub(crate) async fn record(records: Records, mut confirmations: UnboundedReceiver<JobId>) {
    let mut batch = Vec::with_capacity(BATCH_SIZE);
    while confirmations.recv_many(&mut batch, BATCH_SIZE).await > 0 {
        let full =
            async { while batch.len() < BATCH_SIZE && confirmations.recv_many(&mut batch, BATCH_SIZE).await > 0 {} };
        tokio::time::timeout(BATCH_WINDOW, full).await.ok();
        // An api publishes nothing but new jobs. A job that is retried or postponed by now has a publish of its own.
        if let Err(error) = records.confirm_published(batch.drain(..).map(PublishAttempt::first)).await {
            // The relay publishes them once more; the rows decide.
            tracing::warn!(%error, "confirmed jobs could not be noted: {error}");
        }
    }
}
