//! An error of any of the four backends, for code that handles the failures of all backends in the same way: a worker
//! that pauses, a job that records which backend it waits for, a probe.

use domain::{Backend, InvalidSetting};
use instrument::LowSpace;
use queue::QueueError;
use records::RecordsError;
use storage::StoreError;

/// An error of one of the backends.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// An error of staging or blobs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An error of the queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// An error of the records.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// A backend with a folder or file has less free space than its reserve.
    #[error(transparent)]
    LowSpace(#[from] LowSpace),
    /// A setting of a backend is invalid.
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
