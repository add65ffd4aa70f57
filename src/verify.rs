//! `cloakroom verify`: has workers read the stored bytes of uploads again, and compare them with their digests.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use domain::{Job, UploadId};
use records::PublishAttempt;

use crate::publish::{PublishedBy, publish};
use crate::settings::Settings;

/// How long a job may wait and run, both together. The time is long, because many jobs may wait for one worker.
const TIMEOUT: Duration = Duration::from_secs(24 * 3600);

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The numbers of the uploads. Each has to be ready.
    #[arg(required = true)]
    ids: Vec<UploadId>,
}

impl VerifyArgs {
    /// Enqueues a job for each upload.
    ///
    /// # Errors
    /// If a backend cannot be asked, or an upload is not ready.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<()> {
        let backends = crate::roles::open_backends(&settings).await?;
        for id in self.ids {
            let job = Job::VerifyUpload { upload: id };
            let Some(message) = backends.records.enqueue_upload_job(id, job, TIMEOUT).await? else {
                bail!("upload {id} is not ready, so it has no stored bytes; `cloakroom explain {id}` shows its state");
            };
            if let PublishedBy::Sweeper(error) = publish(&backends, &message, PublishAttempt::first(message.id)).await?
            {
                println!("upload {id}: {error}; the sweeper will publish the job");
            }
            println!("upload {id} will be verified; `cloakroom explain {id}` shows the result");
        }
        backends.queue.close().await;
        Ok(())
    }
}
