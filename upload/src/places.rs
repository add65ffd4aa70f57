//! The four places together, as every role opens them.

use serde::{Deserialize, Serialize};

use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::queue::{Queue, QueueError, QueueSettings};
use crate::records::{Records, RecordsError, RecordsSettings};
use crate::setting::WrongSetting;
use crate::staging::Staging;
use crate::store::{StoreError, StoreSettings};
use crate::tls::TlsSettings;

/// Where the four places are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlacesSettings {
    /// Bytes as they came.
    pub staging: StoreSettings,
    /// Promises of work.
    pub queue: QueueSettings,
    /// Bytes that are served.
    pub blobs: StoreSettings,
    /// The truth.
    pub records: RecordsSettings,
}

impl PlacesSettings {
    /// Has the four backends trust certificates of these authorities too, where they are reached by TLS that verifies.
    #[must_use]
    pub fn trusting(mut self, tls: &TlsSettings) -> Self {
        if !tls.ca_file.is_empty() {
            self.staging.trust(&tls.ca_file);
            self.queue.trust(&tls.ca_file);
            self.blobs.trust(&tls.ca_file);
            self.records.trust(&tls.ca_file);
        }
        self
    }

    /// Looks at them without opening anything.
    ///
    /// # Errors
    /// Where one cannot be; it is named.
    pub fn check(&self) -> Result<(), PlaceError> {
        self.staging.check("staging")?;
        self.queue.check()?;
        self.blobs.check("blobs")?;
        Ok(self.records.check()?)
    }
}

/// The four places, opened. Clones share them.
#[derive(Clone, Debug)]
pub struct Places {
    /// Bytes as they came.
    pub staging: Staging,
    /// Promises of work.
    pub queue: Queue,
    /// Bytes that are served.
    pub blobs: Blobs,
    /// The truth.
    pub records: Records,
}

/// A place that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Staging or blobs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The records.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// A setting of one of them.
    #[error(transparent)]
    Setting(#[from] WrongSetting),
}

impl PlaceError {
    /// Whether trying again later can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Queue(error) => error.is_transient(),
            Self::Records(error) => error.is_transient(),
            Self::Setting(_) => false,
        }
    }
}

impl Places {
    /// Opens all four.
    ///
    /// # Errors
    /// Where one of them cannot be opened; it is named.
    pub async fn open(settings: &PlacesSettings, clock: Clock, faults: Faults) -> Result<Self, PlaceError> {
        Ok(Self {
            staging: Staging::open(&settings.staging, faults.clone())?,
            queue: Queue::open(&settings.queue, faults.clone()).await?,
            blobs: Blobs::open(&settings.blobs, faults.clone())?,
            records: Records::open(&settings.records, clock, faults).await?,
        })
    }
}
