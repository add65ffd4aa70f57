//! Runs the deletion queue: deletes the blobs of each scheduled deletion, then completes the deletion in the records.

use backends::BackendError;

use super::Sweeper;

impl Sweeper {
    pub(super) async fn delete_blobs(&self) -> Result<usize, BackendError> {
        let mut collected = 0;
        loop {
            let batch = self.backends.records.take_due_deletions(self.settings.batch_size).await?;
            if batch.is_empty() {
                return Ok(collected);
            }
            // A deletion that fails is taken up again later; the others of the batch do not wait for it.
            let mut failed = None;
            for deletion in batch {
                let removed = match self.backends.blobs.delete_prefix(&deletion.prefix).await {
                    Ok(removed) => removed,
                    Err(error) => {
                        failed.get_or_insert(error);
                        continue;
                    }
                };
                self.backends.records.complete_deletion(&deletion).await?;
                if removed > 0 {
                    let (upload, why) = (deletion.upload.map(tracing::field::display), &deletion.reason);
                    tracing::info!(upload, removed, why, "deleted scheduled blobs");
                }
                collected += removed;
            }
            if let Some(error) = failed {
                return Err(error.into());
            }
        }
    }
}
