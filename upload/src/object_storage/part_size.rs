//! How many bytes are gathered before they are handed on: what one object in progress costs in memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Small parts keep two hundred uploads in progress small; a file system takes any size.
const FILE_PART: usize = 128 << 10;
/// What a few at a time take instead: half of the trips to a thread that may block.
const LARGE_FILE_PART: usize = 256 << 10;
/// How many those are.
const MAX_LARGE: usize = 8;
/// The least that S3 takes for any part but the last (Amazon S3 User Guide, "Multipart upload limits").
const S3_PART: usize = 5 << 20;

/// The sizes of a store's parts. Clones share the large ones.
#[derive(Clone, Debug)]
pub(super) struct PartSizes {
    regular: usize,
    large_permits: Arc<Semaphore>,
}

/// The size of one object's parts after the first and before the last.
#[derive(Debug)]
pub(super) struct PartSize {
    pub(super) bytes: usize,
    /// Where they are large, for as long as the object is on its way.
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

    /// For one more object.
    pub(super) fn next(&self) -> PartSize {
        let large = Arc::clone(&self.large_permits).try_acquire_owned().ok();
        PartSize { bytes: if large.is_some() { LARGE_FILE_PART } else { self.regular }, _large_permit: large }
    }
}
