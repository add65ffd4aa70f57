//! Free space on the file system of a place that is a folder or a file, and the reserve below which uploads are refused.
//!
//! The reserve (`min_free`) is for what was accepted: variants, settling, expiry and deletions write as well, and deletions
//! are what makes room again. Reads, expiry and deletions do not ask here.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytesize::ByteSize;

/// How long an answer of the file system holds.
const CACHE_TTL: Duration = Duration::from_secs(1);

/// A place has less free space than its reserve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{backend} has {free} of disk space left and {backend}.min_free is {min_free}: uploads are refused; make room")]
pub struct LowSpace {
    /// Which place.
    pub backend: &'static str,
    /// What is left.
    pub free: ByteSize,
    /// The reserve.
    pub min_free: ByteSize,
}

/// The free space of one place. Clones share what is known.
#[derive(Clone, Debug)]
pub(crate) struct FreeSpace {
    backend: &'static str,
    path: Arc<Path>,
    min_free: ByteSize,
    cache: Arc<Mutex<CachedFreeSpace>>,
}

#[derive(Debug, Default)]
struct CachedFreeSpace {
    checked_at: Option<Instant>,
    /// None if the file system did not tell.
    free: Option<u64>,
    /// Whether it was below the reserve, to log each change once.
    is_low: bool,
}

impl FreeSpace {
    /// Watches the file system that `path` is on.
    pub(crate) fn new(place: &'static str, path: PathBuf, min_free: ByteSize) -> Self {
        Self { backend: place, path: path.into(), min_free, cache: Arc::default() }
    }

    /// Whether the reserve would still be there with `incoming` more bytes. A file system that does not tell passes.
    ///
    /// # Errors
    /// [`LowSpace`] if not.
    pub(crate) async fn check(&self, incoming: u64) -> Result<(), LowSpace> {
        let Some(free) = self.free().await else { return Ok(()) };
        if self.min_free.as_u64() == 0 || free >= self.min_free.as_u64().saturating_add(incoming) {
            return Ok(());
        }
        Err(self.low_space(free))
    }

    /// Bytes that this process may still write there, as they were at most a second ago.
    pub(crate) async fn free(&self) -> Option<u64> {
        {
            let mut known = self.cached();
            if known.checked_at.is_some_and(|asked| asked.elapsed() < CACHE_TTL) {
                return known.free;
            }
            // Set before asking, so that of many requests one asks.
            known.checked_at = Some(Instant::now());
        }
        let path = Arc::clone(&self.path);
        let asked = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&*path)).await;
        let free = asked.ok().and_then(Result::ok).map(|told| told.f_bavail.saturating_mul(told.f_frsize));
        let mut known = self.cached();
        known.free = free;
        let low = free.is_some_and(|free| free < self.min_free.as_u64());
        if low != known.is_low {
            known.is_low = low;
            match free {
                Some(free) if low => tracing::warn!(place = self.backend, free, "{}", self.low_space(free)),
                _ => tracing::info!(place = self.backend, free, "{} has room for uploads again", self.backend),
            }
        }
        free
    }

    fn low_space(&self, free: u64) -> LowSpace {
        LowSpace { backend: self.backend, free: ByteSize(free), min_free: self.min_free }
    }

    fn cached(&self) -> MutexGuard<'_, CachedFreeSpace> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
