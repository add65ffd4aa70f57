//! Liveness of a worker: whether its consumers still make progress. A process supervisor asks for it, because a
//! consumer that hangs would hold its job messages for as long as its connection lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a worker may be silent: several times the duration of a usual job.
const MAX_SILENCE: Duration = Duration::from_secs(180);

/// The time of the last activity: a delivery arrived, a job ended, or the worker found that it is idle. Clones share
/// it.
#[derive(Clone, Debug)]
pub struct Liveness {
    started_at: Instant,
    last_activity: Arc<AtomicU64>,
}

impl Default for Liveness {
    fn default() -> Self {
        Self { started_at: Instant::now(), last_activity: Arc::default() }
    }
}

impl Liveness {
    pub(crate) fn record_activity(&self) {
        self.last_activity.store(self.started_at.elapsed().as_secs(), Ordering::Relaxed);
    }

    /// Whether there was activity within the allowed silence.
    pub fn is_alive(&self) -> bool {
        let last = Duration::from_secs(self.last_activity.load(Ordering::Relaxed));
        self.started_at.elapsed().saturating_sub(last) < MAX_SILENCE
    }
}
