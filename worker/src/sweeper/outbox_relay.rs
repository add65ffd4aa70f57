//! The outbox relay: publishes the enqueued jobs that the queue does not hold. It reads them from the records, which
//! hold all jobs.

use std::collections::HashSet;

use backends::BackendError;
use domain::JobMessage;

use super::Sweeper;

/// The largest number of batches in one round, so that a long outbox does not delay the other steps of the sweeper.
const MAX_BATCHES_PER_ROUND: usize = 50;

impl Sweeper {
    /// Publishes messages first and records the publications afterwards, so a message may be published twice. That does
    /// no harm, because the row of the job decides whether an attempt begins. Returns the number of published messages.
    pub(super) async fn relay_outbox(&self) -> Result<usize, BackendError> {
        let mut published_count = 0;
        for _ in 0..MAX_BATCHES_PER_ROUND {
            let batch = self.backends.records.take_due_messages(self.settings.batch_size).await?;
            if batch.is_empty() {
                break;
            }
            let messages: Vec<JobMessage> = batch.iter().map(|due| due.message.clone()).collect();
            let confirmed: HashSet<_> = self.backends.queue.publish_all(&messages).await.into_iter().collect();
            let confirmed_publishes =
                batch.iter().map(|due| due.publish).filter(|publish| confirmed.contains(&publish.job));
            self.backends.records.confirm_published(confirmed_publishes).await?;
            published_count += confirmed.len();
            // If the queue is unavailable, the remaining messages wait for the next round, so that they do not delay
            // the other steps of the sweeper.
            if confirmed.len() < batch.len() {
                tracing::warn!(
                    waiting = batch.len() - confirmed.len(),
                    "the queue did not accept all unpublished jobs; the next sweep publishes the others"
                );
                break;
            }
        }
        Ok(published_count)
    }
}
