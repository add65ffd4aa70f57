//! The relay: promises that the queue does not hold are published, from the records, which hold them all.

use std::collections::HashSet;

use upload::{PlaceError, Ticket};

use super::Sweeper;

/// The most batches of one round: what else there is to sweep does not wait for a long outbox.
const BATCHES: usize = 50;

impl Sweeper {
    /// A ticket that is published twice does no harm: the job's row decides. So publishing comes first, noting second.
    pub(super) async fn relay(&self) -> Result<usize, PlaceError> {
        let mut published = 0;
        for _ in 0..BATCHES {
            let batch = self.places.records.take_unpublished(self.settings.batch).await?;
            if batch.is_empty() {
                break;
            }
            let tickets: Vec<Ticket> = batch.iter().map(|due| due.ticket.clone()).collect();
            let confirmed: HashSet<_> = self.places.queue.publish_all(&tickets).await.into_iter().collect();
            let noted = batch.iter().map(|due| due.publish).filter(|publish| confirmed.contains(&publish.job));
            self.places.records.note_published(noted).await?;
            published += confirmed.len();
            // A queue that is away takes the rest another time; what else there is to sweep does not wait for it.
            if confirmed.len() < batch.len() {
                tracing::warn!(waiting = batch.len() - confirmed.len(), "the queue did not take all that was promised");
                break;
            }
        }
        Ok(published)
    }
}
