//! The part sizes of object writers, which are the memory that one object in progress takes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The usual part of a file: small, so that two hundred uploads in progress take little memory. A file system takes
/// any size.
const FILE_PART: usize = 128 << 10;
/// The part of a file for a few writers at a time: it halves the calls on blocking threads.
const LARGE_FILE_PART: usize = 256 << 10;
/// The number of those writers.
const MAX_LARGE: usize = 8;
/// The minimum that S3 takes for any part but the last (Amazon S3 User Guide, "Multipart upload limits").
const S3_PART: usize = 5 << 20;

/// The sizes of a store's parts. Clones share the large ones.
#[derive(Clone, Debug)]
pub(super) struct PartSizes {
    regular: usize,
    large_permits: Arc<Semaphore>,
}

/// The size of one object's parts between the first and the last.
#[derive(Debug)]
pub(super) struct PartSize {
    pub(super) bytes: usize,
    /// The permit for large parts, held while the object is written.
    _large_permit: Option<OwnedSemaphorePermit>,
}

impl PartSizes {
    pub(super) fn for_folder() -> Self {
        Self { regular: FILE_PART, large_permits: Arc::new(Semaphore::new(MAX_LARGE)) }
    }

    pub(super) fn for_bucket() -> Self {
        Self { regular: S3_PART, large_permits: Arc::new(Semaphore::new(0)) }
    }

    pub(super) fn first(&self) -> usize {
        self.regular
    }

    /// Chooses the part size for one more object.
    pub(super) fn next(&self) -> PartSize {
        let large = Arc::clone(&self.large_permits).try_acquire_owned().ok();
        PartSize { bytes: if large.is_some() { LARGE_FILE_PART } else { self.regular }, _large_permit: large }
    }
}
