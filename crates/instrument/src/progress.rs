//! Signs of progress, reported from deep inside a piece of work and read by the code that limits it. Work that hangs
//! reports none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    static PROGRESS: ProgressTracker;
}

/// The time of the last sign of progress of the tracked work. Clones share it.
#[derive(Clone, Debug)]
pub struct ProgressTracker {
    started_at: Instant,
    last_ms: Arc<AtomicU64>,
}

impl Default for ProgressTracker {
    fn default() -> Self {
        Self { started_at: Instant::now(), last_ms: Arc::default() }
    }
}

impl ProgressTracker {
    /// Runs `work`. Each [`report_progress`] in it is recorded in this tracker.
    pub async fn track<F: Future>(&self, work: F) -> F::Output {
        PROGRESS.scope(self.clone(), work).await
    }

    /// The time since the last sign of progress. If there was none, the time since this tracker was created.
    pub fn idle_time(&self) -> Duration {
        self.started_at.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Relaxed)))
    }

    fn record(&self) {
        let now = u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Relaxed);
    }
}

/// Reports that a step of the work is done, such as an operation of a store or a chunk of a stream. Does nothing if
/// the work of this task is not tracked.
pub fn report_progress() {
    // An error means that the work is not tracked.
    PROGRESS.try_with(ProgressTracker::record).unwrap_or_default();
}
