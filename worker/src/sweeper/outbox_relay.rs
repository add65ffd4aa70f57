//! The outbox relay: publishes the enqueued jobs that the queue does not hold, from the records, which hold all of
//! them.

use std::collections::HashSet;

use backends::BackendError;
use domain::JobMessage;

use super::Sweeper;

/// The most batches of one round, so that a long outbox does not delay the other steps of the sweeper.
const MAX_BATCHES_PER_ROUND: usize = 50;

impl Sweeper {
    /// Publishes first and records the publication second. A job message that is published twice does no harm, because
    /// the job's row decides.
    pub(super) async fn relay_outbox(&self) -> Result<usize, BackendError> {
        let mut published = 0;
        for _ in 0..MAX_BATCHES_PER_ROUND {
            let batch = self.backends.records.take_due_messages(self.settings.batch_size).await?;
            if batch.is_empty() {
                break;
            }
            let messages: Vec<JobMessage> = batch.iter().map(|due| due.message.clone()).collect();
            let confirmed: HashSet<_> = self.backends.queue.publish_all(&messages).await.into_iter().collect();
            let noted = batch.iter().map(|due| due.publish).filter(|publish| confirmed.contains(&publish.job));
            self.backends.records.confirm_published(noted).await?;
            published += confirmed.len();
            // If the queue is unavailable, the rest waits for another round, so that the other steps are not delayed.
            if confirmed.len() < batch.len() {
                tracing::warn!(
                    waiting = batch.len() - confirmed.len(),
                    "the queue did not accept all unpublished jobs; the next sweep publishes the others"
                );
                break;
            }
        }
        Ok(published)
    }
}
