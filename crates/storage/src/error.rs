//! Errors of a store.

use domain::{Backend, chain};
use instrument::InjectedFault;

/// An error of a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("{backend} has no object \"{key}\"")]
    Missing {
        /// The backend.
        backend: &'static str,
        /// The key of the missing object.
        key: String,
    },
    /// The disk or the quota is full.
    #[error("{backend} is full; free some space or add storage")]
    Full {
        /// The backend.
        backend: &'static str,
    },
    /// The address cannot be opened.
    #[error("{backend}.url = \"{url}\": {why}")]
    Address {
        /// The backend.
        backend: &'static str,
        /// The address, without its secrets.
        url: String,
        /// The fault.
        why: String,
    },
    /// An operator has to correct something before the store can work.
    #[error("{backend}: {why}; check {backend}.url, its endpoint and its key: {detail}")]
    Misconfigured {
        /// The backend.
        backend: &'static str,
        /// The fault, in words that may be public.
        why: &'static str,
        /// The engine's own message.
        detail: String,
    },
    /// The engine failed.
    #[error("{backend}: {}", chain(source))]
    Engine {
        /// The backend.
        backend: &'static str,
        /// The engine's own error.
        source: object_store::Error,
    },
    /// A fault injected by a test.
    #[error(transparent)]
    InjectedFault(#[from] InjectedFault),
}

impl StoreError {
    /// Whether trying again later can help.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Missing { .. } | Self::Address { .. })
    }

    /// The backend that failed.
    pub fn backend(&self) -> Backend {
        match self {
            Self::Missing { backend: "blobs", .. }
            | Self::Full { backend: "blobs" }
            | Self::Address { backend: "blobs", .. }
            | Self::Misconfigured { backend: "blobs", .. }
            | Self::Engine { backend: "blobs", .. } => Backend::Blobs,
            _ => Backend::Staging,
        }
    }
}
