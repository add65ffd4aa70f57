//! Runs the deletion queue: deletes the blobs of each scheduled deletion, then completes the deletion in the records.

use backends::BackendError;

use super::Sweeper;

impl Sweeper {
    /// Returns the number of blobs that were deleted.
    pub(super) async fn delete_blobs(&self) -> Result<usize, BackendError> {
        let mut total = 0;
        loop {
            let batch = self.backends.records.take_due_deletions(self.settings.batch_size).await?;
            if batch.is_empty() {
                return Ok(total);
            }
            // A deletion that fails is tried again later. The other deletions of the batch do not wait for it.
            let mut first_error = None;
            for deletion in batch {
                let removed = match self.backends.blobs.delete_prefix(&deletion.prefix).await {
                    Ok(removed) => removed,
                    Err(error) => {
                        first_error.get_or_insert(error);
                        continue;
                    }
                };
                self.backends.records.complete_deletion(&deletion).await?;
                if removed > 0 {
                    let (upload, why) = (deletion.upload.map(tracing::field::display), &deletion.reason);
                    tracing::info!(upload, removed, why, "deleted scheduled blobs");
                }
                total += removed;
            }
            if let Some(error) = first_error {
                return Err(error.into());
            }
        }
    }
}
