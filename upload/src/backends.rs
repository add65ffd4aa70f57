//! The four places together, as every role opens them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::fault_injection::FailPoints;
use crate::free_space::LowSpace;
use crate::invalid_setting::InvalidSetting;
use crate::object_storage::{StoreError, StoreSettings};
use crate::queue::{Queue, QueueError, QueueSettings};
use crate::records::{Records, RecordsError, RecordsSettings};
use crate::staging::Staging;
use crate::tls::TlsSettings;

/// Where the four places are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackendsSettings {
    /// Bytes as they came.
    pub staging: StoreSettings,
    /// Promises of work.
    pub queue: QueueSettings,
    /// Bytes that are served.
    pub blobs: StoreSettings,
    /// The truth.
    pub records: RecordsSettings,
}

impl BackendsSettings {
    /// Has the four backends trust certificates of these authorities too, where they are reached by TLS that verifies.
    #[must_use]
    pub fn with_trusted_ca(mut self, tls: &TlsSettings) -> Self {
        if !tls.ca_file.is_empty() {
            self.staging.trust_ca_file(&tls.ca_file);
            self.queue.trust_ca_file(&tls.ca_file);
            self.blobs.trust_ca_file(&tls.ca_file);
            self.records.trust_ca_file(&tls.ca_file);
        }
        self
    }

    /// Looks at them without opening anything.
    ///
    /// # Errors
    /// Where one cannot be; it is named.
    pub fn check(&self) -> Result<(), BackendError> {
        self.staging.check("staging")?;
        self.queue.check()?;
        self.blobs.check("blobs")?;
        Ok(self.records.check()?)
    }
}

/// The four places, opened. Clones share them.
#[derive(Clone, Debug)]
pub struct Backends {
    /// Bytes as they came.
    pub staging: Staging,
    /// Promises of work.
    pub queue: Queue,
    /// Bytes that are served.
    pub blobs: Blobs,
    /// The truth.
    pub records: Records,
    /// Set once the numbers of uploads are known to be ahead of all that blobs remember.
    ids_checked: Arc<OnceCell<()>>,
}

/// Numbers skipped after the highest one that blobs remember: uploads that followed it may have had no blobs yet.
const ID_GAP: i64 = 1024;

/// A place that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Staging or blobs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The records.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// One with a folder or file has less free space than its reserve.
    #[error(transparent)]
    LowSpace(#[from] LowSpace),
    /// A setting of one of them.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
}

impl BackendError {
    /// Whether trying again later can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Queue(error) => error.is_transient(),
            Self::Records(error) => error.is_transient(),
            Self::LowSpace(_) => true,
            Self::Setting(_) => false,
        }
    }
}

impl Backends {
    /// Opens all four.
    ///
    /// # Errors
    /// Where one of them cannot be opened; it is named.
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

    /// Whether an upload of about `bytes` bytes can be taken, asked before any of it is read: there is room for it above
    /// the reserves, the records take writes, and its number will be one that was never given.
    ///
    /// # Errors
    /// Why not; the next try may find it otherwise.
    pub async fn check_accepts_upload(&self, bytes: u64) -> Result<(), BackendError> {
        self.check_space(bytes).await?;
        self.records.check_accepts_writes().await?;
        self.ids_checked.get_or_try_init(|| self.skip_used_ids()).await.copied()
    }

    /// Whether every place with a folder or file has its reserve, and would have it with `incoming` more bytes.
    ///
    /// # Errors
    /// The place that has not.
    pub async fn check_space(&self, incoming: u64) -> Result<(), LowSpace> {
        self.staging.check_space(incoming).await?;
        self.blobs.check_space(incoming).await?;
        self.records.check_space().await
    }

    /// Records that were restored from a backup would give numbers again that they gave since it was made, and one
    /// upload would be shown to those who know another by its number. Blobs tell how far the numbers had come.
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
}
