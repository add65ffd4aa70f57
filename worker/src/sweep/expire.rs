//! What nobody claimed in time expires, batch by batch.

use upload::PlaceError;

use super::Sweeper;

impl Sweeper {
    pub(super) async fn expire(&self) -> Result<usize, PlaceError> {
        let mut expired = 0;
        loop {
            let batch = self.places.records.expire(self.settings.batch).await?;
            for upload in &batch {
                tracing::info!(%upload, "expired: nobody claimed it in time");
            }
            expired += batch.len();
            if batch.is_empty() {
                return Ok(expired);
            }
        }
    }
}
