//! The part sizes of object writers. The size of a part is the memory that one object in progress
//! takes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The sizes of a store's parts. Clones share the permits for large parts.
#[derive(Clone, Debug)]
pub(crate) struct PartSizes {
    regular: usize,
    large: usize,
    large_permits: Arc<Semaphore>,
}

/// The size of one object's parts between the first and the last.
#[derive(Debug)]
pub(crate) struct PartSize {
    pub(crate) bytes: usize,
    /// The permit for large parts, held while the object is written.
    _large_permit: Option<OwnedSemaphorePermit>,
}

impl PartSizes {
    /// Parts of one size, in bytes.
    pub(crate) fn fixed(bytes: usize) -> Self {
        Self { regular: bytes, large: bytes, large_permits: Arc::new(Semaphore::new(0)) }
    }

    /// Parts of `regular` bytes, and of `large` bytes for at most `max_large` objects at a time.
    pub(crate) fn with_large(regular: usize, large: usize, max_large: usize) -> Self {
        Self { regular, large, large_permits: Arc::new(Semaphore::new(max_large)) }
    }

    /// The size of the first part of every object, in bytes.
    pub(crate) fn first(&self) -> usize {
        self.regular
    }

    /// Chooses the part size for one more object.
    pub(crate) fn next(&self) -> PartSize {
        let large = Arc::clone(&self.large_permits).try_acquire_owned().ok();
        PartSize { bytes: if large.is_some() { self.large } else { self.regular }, _large_permit: large }
    }
}
