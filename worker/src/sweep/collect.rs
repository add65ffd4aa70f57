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
            for condemned in batch {
                let removed = self.places.blobs.remove_all(&condemned.prefix).await?;
                self.places.records.strike_off(&condemned).await?;
                if removed > 0 {
                    let (upload, why) = (condemned.upload, &condemned.why);
                    tracing::info!(%upload, removed, why, "deleted blobs that nobody needs");
                }
                collected += removed;
            }
        }
    }
}
