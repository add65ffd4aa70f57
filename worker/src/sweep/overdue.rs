//! No upload waits for ever: past its deadline it has failed, and whoever waits is told.

use upload::{PlaceError, Verdict};

use super::Sweeper;

impl Sweeper {
    pub(super) async fn fail_overdue(&self) -> Result<usize, PlaceError> {
        let mut failed = 0;
        loop {
            let batch = self.places.records.fail_overdue(self.settings.batch).await?;
            failed += batch.len();
            if batch.is_empty() {
                return Ok(failed);
            }
            for (upload, job, reason) in batch {
                tracing::error!(%upload, %job, "failed: not settled by its deadline");
                self.places.queue.announce(job, Verdict::Failed(reason));
            }
        }
    }
}
