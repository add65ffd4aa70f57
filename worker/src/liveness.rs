//! A worker's sign of life: whether its consumers still turn. Whoever watches the process asks it; a consumer that hangs
//! would otherwise hold its tickets for as long as its connection lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a consumer may be silent: several times what one job may take.
const MAX_SILENCE: Duration = Duration::from_secs(180);

/// Beats whenever a consumer asks for a ticket and whenever a job ends. Clones are the same pulse.
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

    /// Whether it has been felt lately.
    pub fn is_alive(&self) -> bool {
        let last = Duration::from_secs(self.last_activity.load(Ordering::Relaxed));
        self.started_at.elapsed().saturating_sub(last) < MAX_SILENCE
    }
}
