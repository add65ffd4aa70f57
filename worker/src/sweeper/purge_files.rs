//! Purges deleted files that were not restored in time, version by version.

use backends::BackendError;
use domain::FileId;
use records::PurgeStep;

use super::Sweeper;

impl Sweeper {
    pub(super) async fn purge_files(&self) -> Result<usize, BackendError> {
        let mut purged = 0;
        loop {
            let batch = self.backends.records.lease_due_purges(self.settings.batch_size).await?;
            if batch.is_empty() {
                return Ok(purged);
            }
            for file in batch {
                self.purge_file(&file).await?;
                tracing::info!(%file, "the deleted file was purged, because its grace period is over");
                purged += 1;
            }
        }
    }

    async fn purge_file(&self, file: &FileId) -> Result<(), BackendError> {
        while let PurgeStep::Version(discarded) = self.backends.records.purge_file(file).await? {
            self.backends.clean_up_discarded(&discarded).await;
        }
        Ok(())
    }
}
