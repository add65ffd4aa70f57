//! The four backends by name, for code that treats a failure of any of them alike: a worker that pauses, a job that
//! records what it waits for, a probe.

use std::str::FromStr;

use crate::backends::{BackendError, Backends};
use crate::object_storage::StoreError;
use crate::records::RecordsError;
use crate::upload::UnknownValue;

/// One of the four backends, named after its section in the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Uploaded bytes as received.
    Staging,
    /// Bytes that are served.
    Blobs,
    /// The database.
    Records,
    /// The message broker.
    Queue,
}

impl Backend {
    /// All backends.
    pub const ALL: [Self; 4] = [Self::Staging, Self::Blobs, Self::Records, Self::Queue];

    /// The name in settings, metrics and the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::Blobs => "blobs",
            Self::Records => "records",
            Self::Queue => "queue",
        }
    }

    /// A description of the backend for a client.
    pub fn description(self) -> &'static str {
        match self {
            Self::Staging => "the storage for incoming files",
            Self::Blobs => "the storage for finished files",
            Self::Records => "the database",
            Self::Queue => "the message broker",
        }
    }
}

impl FromStr for Backend {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        Self::ALL.into_iter().find(|backend| backend.as_str() == text).ok_or_else(|| UnknownValue(text.to_owned()))
    }
}

impl BackendError {
    /// The backend that is unavailable, if this error means an outage. Such an error says nothing about an upload,
    /// and the same request may succeed later.
    pub fn outage(&self) -> Option<Backend> {
        match self {
            Self::Store(error) if error.is_transient() => Some(error.backend()),
            Self::Queue(error) if error.is_transient() => Some(Backend::Queue),
            Self::Records(error) if error.is_outage() => Some(Backend::Records),
            _ => None,
        }
    }

    /// The state of the backend for a probe, in words that may be public. A fault that an operator has to correct is
    /// named, because no later ping succeeds before that.
    pub fn probe_status(&self) -> &'static str {
        match self {
            Self::Store(StoreError::Misconfigured { why, .. }) => why,
            Self::Store(StoreError::Full { .. }) | Self::Records(RecordsError::Full) => "full",
            Self::Records(RecordsError::NotWritable(_)) => "not writable",
            Self::LowSpace(_) => "low on space",
            _ => "down",
        }
    }
}

impl Backends {
    /// Checks that a backend answers.
    ///
    /// # Errors
    /// The backend's error, if it does not.
    pub async fn ping(&self, backend: Backend) -> Result<(), BackendError> {
        match backend {
            Backend::Staging => Ok(self.staging.ping().await?),
            Backend::Blobs => Ok(self.blobs.ping().await?),
            Backend::Records => Ok(self.records.ping().await?),
            Backend::Queue => Ok(self.queue.ping().await?),
        }
    }
}
