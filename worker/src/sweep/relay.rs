//! The relay: promises that the queue does not hold are published, from the records, which hold them all.

use upload::PlaceError;

use super::Sweeper;

impl Sweeper {
    /// A ticket that is published twice does no harm: the job's row decides. So publishing comes first, noting second.
    pub(super) async fn relay(&self) -> Result<usize, PlaceError> {
        let mut published = 0;
        loop {
            let batch = self.places.records.unpublished(self.settings.batch).await?;
            for ticket in &batch {
                self.places.queue.publish(ticket).await?;
            }
            self.places.records.note_published(batch.iter().map(|ticket| ticket.id)).await?;
            published += batch.len();
            if batch.is_empty() {
                return Ok(published);
            }
        }
    }
}
