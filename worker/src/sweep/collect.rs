//! The ledger's keeper: deletes the blobs that a row has condemned, and strikes them off once they are gone.

use upload::PlaceError;

use super::Sweeper;

impl Sweeper {
    pub(super) async fn collect(&self) -> Result<usize, PlaceError> {
        let mut collected = 0;
        loop {
            let batch = self.places.records.take_condemned(self.settings.batch).await?;
            if batch.is_empty() {
                return Ok(collected);
            }
            // One that cannot be deleted is taken on again later; the others of the batch do not wait for that.
            let mut failed = None;
            for condemned in batch {
                let removed = match self.places.blobs.remove_all(&condemned.prefix).await {
                    Ok(removed) => removed,
                    Err(error) => {
                        failed.get_or_insert(error);
                        continue;
                    }
                };
                self.places.records.strike_off(&condemned).await?;
                if removed > 0 {
                    let (upload, why) = (condemned.upload, &condemned.why);
                    tracing::info!(%upload, removed, why, "deleted blobs that nobody needs");
                }
                collected += removed;
            }
            if let Some(error) = failed {
                return Err(error.into());
            }
        }
    }
}
