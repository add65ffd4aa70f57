//! What remains to be done beside the records after uploads were discarded.

use domain::{Outcome, Reason, ReasonCode};
use records::DiscardedUploads;

use crate::backends::Backends;

impl Backends {
    /// Notifies the clients that wait for cancelled jobs, and deletes the staged bytes of discarded uploads.
    ///
    /// It never fails, because the records have the deletion already. If staging does not answer, the sweeper finds the
    /// staged bytes as orphans. A worker that reads them at this moment settles nothing, because its job is gone.
    pub async fn clean_up_discarded(&self, discarded: &DiscardedUploads) {
        for job in &discarded.cancelled_jobs {
            let reason = Reason::new(ReasonCode::Deleted, "the upload was deleted before it was processed");
            self.queue.publish_outcome(*job, Outcome::Rejected(reason));
        }
        for key in &discarded.staged_keys {
            if let Err(error) = self.staging.delete(key).await {
                tracing::warn!(key, %error, "staged bytes of a deleted upload stay until the sweeper removes them");
            }
        }
    }
}
