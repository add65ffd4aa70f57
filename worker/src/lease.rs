//! Keeps the lease of a job while its handler runs.

use upload::{Attempt, Job};

use crate::consume::Worker;
use crate::outcome::Outcome;

impl Worker {
    /// Runs the job's handler while keeping its lease. None when the lease was lost: then it is another worker's.
    pub(crate) async fn under_lease(&self, attempt: &mut Attempt) -> Option<Outcome> {
        let leased = attempt.clone();
        let handler = async {
            let done = match attempt.ticket.job.clone() {
                Job::ProcessPicture { .. } => self.process(attempt).await,
                Job::ProcessRendition { .. } | Job::ProcessFile { .. } => self.keep(attempt).await,
                Job::MakeVariant { generation, variant, .. } => self.make_variant(attempt, generation, variant).await,
            };
            // What ended it early is its outcome as well.
            done.unwrap_or_else(|outcome| outcome)
        };
        let lost = async {
            let lease = self.settings.worker.lease;
            loop {
                tokio::time::sleep(lease / 3).await;
                match self.places.records.renew_lease(&leased, lease).await {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => tracing::warn!(%error, "the lease could not be renewed this time"),
                }
            }
        };
        tokio::select! {
            outcome = handler => Some(outcome),
            () = lost => {
                tracing::warn!("the lease was lost; the job is somebody else's or settled");
                None
            }
        }
    }
}
