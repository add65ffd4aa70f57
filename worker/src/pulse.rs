//! A worker's sign of life: whether its consumers still turn. Whoever watches the process asks it; a consumer that hangs
//! would otherwise hold its tickets for as long as its connection lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a consumer may be silent: several times what one job may take.
const SILENCE: Duration = Duration::from_secs(180);

/// Beats whenever a consumer asks for a ticket and whenever a job ends. Clones are the same pulse.
#[derive(Clone, Debug)]
pub struct Pulse {
    begun: Instant,
    last: Arc<AtomicU64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { begun: Instant::now(), last: Arc::default() }
    }
}

impl Pulse {
    pub(crate) fn beat(&self) {
        self.last.store(self.begun.elapsed().as_secs(), Ordering::Relaxed);
    }

    /// Whether it has been felt lately.
    pub fn beats(&self) -> bool {
        let last = Duration::from_secs(self.last.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(last) < SILENCE
    }
}
