//! Signs that work goes on, given from deep inside it and seen by whoever limits it: a job whose work hangs gives none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    static PROGRESS: ProgressTracker;
}

/// When the work that it watches last showed a sign of progress. Clones are the same.
#[derive(Clone, Debug)]
pub struct ProgressTracker {
    begun: Instant,
    last_ms: Arc<AtomicU64>,
}

impl Default for ProgressTracker {
    fn default() -> Self {
        Self { begun: Instant::now(), last_ms: Arc::default() }
    }
}

impl ProgressTracker {
    /// Runs `work` so that each [`report_progress`] in it counts here.
    pub async fn track<F: Future>(&self, work: F) -> F::Output {
        PROGRESS.scope(self.clone(), work).await
    }

    /// How long ago the last sign of progress was, or the beginning.
    pub fn idle_time(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Relaxed)))
    }

    fn record(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Relaxed);
    }
}

/// A step of the work has been done, such as an operation of a store or a chunk of a stream. Does nothing if the work of
/// this task is not watched.
pub fn report_progress() {
    // An error means that it is not watched.
    PROGRESS.try_with(ProgressTracker::record).unwrap_or_default();
}
