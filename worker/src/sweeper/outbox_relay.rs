//! The relay: promises that the queue does not hold are published, from the records, which hold them all.

use std::collections::HashSet;

use upload::{BackendError, JobMessage};

use super::Sweeper;

/// The most batches of one round: what else there is to sweep does not wait for a long outbox.
const MAX_BATCHES_PER_ROUND: usize = 50;

impl Sweeper {
    /// A ticket that is published twice does no harm: the job's row decides. So publishing comes first, noting second.
    pub(super) async fn relay_outbox(&self) -> Result<usize, BackendError> {
        let mut published = 0;
        for _ in 0..MAX_BATCHES_PER_ROUND {
            let batch = self.backends.records.take_due_messages(self.settings.batch_size).await?;
            if batch.is_empty() {
                break;
            }
            let tickets: Vec<JobMessage> = batch.iter().map(|due| due.message.clone()).collect();
            let confirmed: HashSet<_> = self.backends.queue.publish_all(&tickets).await.into_iter().collect();
            let noted = batch.iter().map(|due| due.publish).filter(|publish| confirmed.contains(&publish.job));
            self.backends.records.confirm_published(noted).await?;
            published += confirmed.len();
            // A queue that is away takes the rest another time; what else there is to sweep does not wait for it.
            if confirmed.len() < batch.len() {
                tracing::warn!(waiting = batch.len() - confirmed.len(), "the queue did not take all that was promised");
                break;
            }
        }
        Ok(published)
    }
}
