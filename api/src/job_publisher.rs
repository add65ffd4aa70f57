//! Records in the database which jobs the queue has confirmed. It works in batches beside the requests, instead of once
//! in each request.

use std::time::Duration;

use domain::JobId;
use records::{PublishAttempt, Records};
use tokio::sync::mpsc::UnboundedReceiver;

/// The most confirmations that one statement records.
const BATCH_SIZE: usize = 256;

/// How long a batch is collected. This is far shorter than the time after which the relay publishes an unconfirmed job
/// again.
const BATCH_WINDOW: Duration = Duration::from_millis(250);

/// Runs until the last sender is dropped and all confirmations are recorded.
pub(crate) async fn record(records: Records, mut confirmations: UnboundedReceiver<JobId>) {
    let mut batch = Vec::with_capacity(BATCH_SIZE);
    while confirmations.recv_many(&mut batch, BATCH_SIZE).await > 0 {
        let full =
            async { while batch.len() < BATCH_SIZE && confirmations.recv_many(&mut batch, BATCH_SIZE).await > 0 {} };
        tokio::time::timeout(BATCH_WINDOW, full).await.ok();
        // The API publishes only new jobs. A job that has been retried or rescheduled meanwhile has a publish attempt
        // of its own.
        if let Err(error) = records.confirm_published(batch.drain(..).map(PublishAttempt::first)).await {
            // The relay publishes the jobs once more. The rows in the database decide whether there is work left.
            tracing::warn!(%error, "confirmations of jobs were not recorded, so the jobs are published again: {error}");
        }
    }
}
