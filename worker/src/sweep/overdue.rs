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
                break;
            }
            for (upload, job, reason) in batch {
                tracing::error!(%upload, %job, reason = reason.why, "failed: not settled by its deadline");
                self.places.queue.announce(job, Verdict::Failed(reason));
            }
        }
        self.give_up_variants().await?;
        Ok(failed)
    }

    async fn give_up_variants(&self) -> Result<(), PlaceError> {
        loop {
            let batch = self.places.records.give_up_variants(self.settings.batch).await?;
            if batch.is_empty() {
                return Ok(());
            }
            for (upload, job, reason) in batch {
                tracing::error!(%upload, %job, reason = reason.why, "a variant was given up; the next request orders it anew");
                self.places.queue.announce(job, Verdict::Failed(reason));
            }
        }
    }
}
