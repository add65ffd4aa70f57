//! Fails uploads that are past their deadline, so that no upload waits for ever. Gives up jobs of variants
//! that are past their deadline, too. Notifies the clients that wait for these uploads or variants.

use backends::BackendError;
use domain::Outcome;

use super::Sweeper;

impl Sweeper {
    pub(super) async fn fail_overdue(&self) -> Result<usize, BackendError> {
        let mut failed_count = 0;
        loop {
            let batch = self.backends.records.fail_overdue(self.settings.batch_size).await?;
            failed_count += batch.len();
            if batch.is_empty() {
                break;
            }
            for (upload, job, reason) in batch {
                tracing::error!(%upload, %job, reason = reason.message, "the upload failed, because it was not settled by its deadline");
                self.backends.queue.publish_outcome(job, Outcome::Failed(reason));
            }
        }
        self.fail_overdue_variants().await?;
        Ok(failed_count)
    }

    async fn fail_overdue_variants(&self) -> Result<(), BackendError> {
        loop {
            let batch = self.backends.records.fail_overdue_variants(self.settings.batch_size).await?;
            if batch.is_empty() {
                return Ok(());
            }
            for (upload, job, reason) in batch {
                tracing::error!(%upload, %job, reason = reason.message, "the job of a variant passed its deadline and was given up; the next request for the variant creates a new job");
                self.backends.queue.publish_outcome(job, Outcome::Failed(reason));
            }
        }
    }
}
