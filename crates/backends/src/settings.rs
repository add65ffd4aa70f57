//! The settings of the four backends.

use address::TlsSettings;
use queue::QueueSettings;
use records::RecordsSettings;
use serde::{Deserialize, Serialize};
use storage::StoreSettings;

use crate::error::BackendError;

/// The settings of the four backends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackendsSettings {
    /// Uploaded bytes as received.
    pub staging: StoreSettings,
    /// The job queue.
    pub queue: QueueSettings,
    /// Bytes that are served.
    pub blobs: StoreSettings,
    /// The database, which is the source of truth.
    pub records: RecordsSettings,
}

impl BackendsSettings {
    /// Makes the four backends trust certificates of these authorities too, on every connection
    /// with TLS that verifies the server's certificate.
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

    /// Checks the settings without opening anything.
    ///
    /// # Errors
    /// If a setting is invalid; the error names it.
    pub fn check(&self) -> Result<(), BackendError> {
        self.staging.check("staging")?;
        self.queue.check()?;
        self.blobs.check("blobs")?;
        Ok(self.records.check()?)
    }
}
