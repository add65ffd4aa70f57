//! Free space on the file system of a backend that is a folder or a file, and the reserve below which uploads are
//! refused.
//!
//! The reserve (`min_free`) is kept for uploads that were accepted already, because making their
//! variants, settling, expiring and deleting them writes as well. Reads, expiry and deletions do not
//! check the reserve. Deletions also free space.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytesize::ByteSize;

/// How long a measured value is reused.
const CACHE_TTL: Duration = Duration::from_secs(1);

/// An upload is refused, because its backend would have less free space than the reserve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the disk of {backend} has {free} of free space, but uploads are accepted only if \
     {backend}.min_free = {min_free} stay free after them; free some space"
)]
pub struct LowSpace {
    /// The backend.
    pub backend: &'static str,
    /// The free space left.
    pub free: ByteSize,
    /// The reserve.
    pub min_free: ByteSize,
}

/// The free space of one backend. Clones share the measured value.
#[derive(Clone, Debug)]
pub struct FreeSpace {
    backend: &'static str,
    path: Arc<Path>,
    min_free: ByteSize,
    cache: Arc<Mutex<CachedFreeSpace>>,
}

#[derive(Debug, Default)]
struct CachedFreeSpace {
    checked_at: Option<Instant>,
    /// Whether `free` is a measured value.
    is_measured: bool,
    /// None if the file system did not report it.
    free: Option<u64>,
    /// Whether the last measured value was below the reserve. Only a change of this is logged.
    is_low: bool,
}

impl FreeSpace {
    /// Watches the file system of `path`.
    pub fn new(backend: &'static str, path: PathBuf, min_free: ByteSize) -> Self {
        Self { backend, path: path.into(), min_free, cache: Arc::default() }
    }

    /// Checks that the reserve would be kept with `incoming` more bytes. Succeeds if the file
    /// system does not report how much space is free.
    ///
    /// # Errors
    /// [`LowSpace`] if the reserve would not be kept.
    pub async fn check(&self, incoming: u64) -> Result<(), LowSpace> {
        let Some(free) = self.free().await else { return Ok(()) };
        if self.min_free.as_u64() == 0 || free >= self.min_free.as_u64().saturating_add(incoming) {
            return Ok(());
        }
        Err(self.low_space(free))
    }

    /// Returns the bytes that this process may still write to the file system, or None if the file
    /// system does not report it. The value is at most about one second old. Measures at most once
    /// per second, and logs when the free space falls below the reserve or is enough again.
    pub async fn free(&self) -> Option<u64> {
        {
            let mut cached = self.cached();
            let is_recent = cached.checked_at.is_some_and(|checked_at| checked_at.elapsed() < CACHE_TTL);
            // Until there is a first value, every caller measures.
            if is_recent && cached.is_measured {
                return cached.free;
            }
            // The time is set before measuring, so that only one of many concurrent requests measures.
            cached.checked_at = Some(Instant::now());
        }
        let path = Arc::clone(&self.path);
        let stat = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&*path)).await;
        let free = stat.ok().and_then(Result::ok).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        let mut cached = self.cached();
        (cached.is_measured, cached.free) = (true, free);
        let low = free.is_some_and(|free| free < self.min_free.as_u64());
        if low != cached.is_low {
            cached.is_low = low;
            match free {
                Some(free) if low => tracing::warn!(backend = self.backend, free, "{}", self.low_space(free)),
                _ => tracing::info!(
                    backend = self.backend,
                    free,
                    "the disk of {} has enough free space again; uploads are accepted",
                    self.backend
                ),
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
