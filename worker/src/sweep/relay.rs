//! The relay: promises that the queue does not hold are published, from the records, which hold them all.

use upload::PlaceError;

use super::Sweeper;

impl Sweeper {
    /// A ticket that is published twice does no harm: the job's row decides. So publishing comes first, noting second.
    pub(super) async fn relay(&self) -> Result<usize, PlaceError> {
        let mut published = 0;
        loop {
            let batch = self.places.records.unpublished(self.settings.batch).await?;
            if batch.is_empty() {
                return Ok(published);
            }
            let confirmed = self.places.queue.publish_all(&batch).await;
            self.places.records.note_published(confirmed.iter().copied()).await?;
            published += confirmed.len();
            // A queue that is away takes the rest another time; what else there is to sweep does not wait for it.
            if confirmed.len() < batch.len() {
                tracing::warn!(waiting = batch.len() - confirmed.len(), "the queue did not take all that was promised");
                return Ok(published);
            }
        }
    }
}
