//! The four backends together, as every role opens them.

use std::sync::Arc;

use domain::{Backend, Clock};
use instrument::{FailPoints, LowSpace};
use queue::Queue;
use records::Records;
use storage::{Blobs, Staging};
use tokio::sync::OnceCell;

use crate::error::BackendError;
use crate::settings::BackendsSettings;

/// The four backends, opened. Clones share them.
#[derive(Clone, Debug)]
pub struct Backends {
    /// Uploaded bytes as received.
    pub staging: Staging,
    /// The job queue.
    pub queue: Queue,
    /// Bytes that are served.
    pub blobs: Blobs,
    /// The database, which is the source of truth.
    pub records: Records,
    /// Set once new uploads are known to get numbers above all numbers in blobs.
    ids_checked: Arc<OnceCell<()>>,
}

/// How many numbers are skipped after the highest number found in blobs. The skipped numbers may
/// have been given to later uploads that had no blobs yet.
const ID_GAP: i64 = 1024;

impl Backends {
    /// Opens all four backends.
    ///
    /// # Errors
    /// If a backend cannot be opened; the error names the backend.
    pub async fn open(
        settings: &BackendsSettings,
        clock: Clock,
        fail_points: FailPoints,
    ) -> Result<Self, BackendError> {
        Ok(Self {
            staging: Staging::open(&settings.staging, fail_points.clone())?,
            queue: Queue::open(&settings.queue, fail_points.clone()).await?,
            blobs: Blobs::open(&settings.blobs, fail_points.clone())?,
            records: Records::open(&settings.records, clock, fail_points).await?.with_routing(settings.queue.routing()),
            ids_checked: Arc::default(),
        })
    }

    /// Checks whether an upload of about `bytes` bytes can be accepted, before any of it is read.
    /// There must be room above the reserves, the records must take writes, and the upload must get a
    /// number that no earlier upload had.
    ///
    /// # Errors
    /// Why the upload cannot be accepted; a later attempt may succeed.
    pub async fn check_accepts_upload(&self, bytes: u64) -> Result<(), BackendError> {
        self.check_space(bytes).await?;
        self.records.check_accepts_writes().await?;
        self.ids_checked.get_or_try_init(|| self.skip_used_ids()).await.copied()
    }

    /// Checks that staging and blobs, if they are folders, keep their reserves with `incoming` more
    /// bytes, and that the records, if they are a file, have their reserve now.
    ///
    /// # Errors
    /// [`LowSpace`], which names the backend without enough space.
    pub async fn check_space(&self, incoming: u64) -> Result<(), LowSpace> {
        self.staging.check_space(incoming).await?;
        self.blobs.check_space(incoming).await?;
        self.records.check_space().await
    }

    /// Skips the upload numbers that are already used in blobs. Records that were restored from a
    /// backup do not know the numbers given after the backup, and would give them again. A client
    /// that knows an upload by such a number would then see another upload.
    async fn skip_used_ids(&self) -> Result<(), BackendError> {
        let last = self.records.last_upload_id().await?;
        let Some(highest) = self.blobs.highest_upload_id_after(last).await? else { return Ok(()) };
        let skipped = highest.saturating_add(ID_GAP);
        tracing::warn!(
            last,
            highest,
            "the records know uploads up to {last} and blobs have {highest}: were the records restored from a backup? \
             The next upload gets a number after {skipped}"
        );
        Ok(self.records.skip_upload_ids(skipped).await?)
    }

    /// Checks that a backend answers.
    ///
    /// # Errors
    /// The backend's error, if it does not answer.
    pub async fn ping(&self, backend: Backend) -> Result<(), BackendError> {
        match backend {
            Backend::Staging => Ok(self.staging.ping().await?),
            Backend::Blobs => Ok(self.blobs.ping().await?),
            Backend::Records => Ok(self.records.ping().await?),
            Backend::Queue => Ok(self.queue.ping().await?),
        }
    }
}
