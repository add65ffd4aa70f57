//! Expires uploads that were not claimed in time, batch by batch.

use backends::BackendError;

use super::Sweeper;

impl Sweeper {
    pub(super) async fn expire_unclaimed(&self) -> Result<usize, BackendError> {
        let mut expired_count = 0;
        loop {
            let batch = self.backends.records.expire(self.settings.batch_size).await?;
            for upload in &batch {
                tracing::info!(%upload, "the upload expired, because it was not claimed in time");
            }
            expired_count += batch.len();
            if batch.is_empty() {
                return Ok(expired_count);
            }
        }
    }
}
