//! Liveness of a worker: whether its consumers still make progress. A process supervisor asks for the liveness,
//! because a consumer that hangs would hold its job messages for as long as its connection lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a worker may show no activity and still count as alive: several times the heartbeat interval.
const MAX_SILENCE: Duration = Duration::from_secs(180);
/// The time between two heartbeats of a worker that is idle, or of a running job.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);

/// The time of the last activity. Clones share it. An activity is one of these:
///
/// - a delivery arrived, or a job ended;
/// - the worker found that it has a free slot;
/// - a job waited for the circuit breakers to permit it;
/// - a running job was within its time limits.
#[derive(Clone, Debug)]
pub struct Liveness {
    started_at: Instant,
    last_activity_ms: Arc<AtomicU64>,
    heartbeat_interval: Duration,
}

impl Default for Liveness {
    fn default() -> Self {
        Self::with_heartbeat_interval(HEARTBEAT_INTERVAL)
    }
}

impl Liveness {
    pub(crate) fn with_heartbeat_interval(heartbeat_interval: Duration) -> Self {
        Self { started_at: Instant::now(), last_activity_ms: Arc::default(), heartbeat_interval }
    }

    pub(crate) fn heartbeat_interval(&self) -> Duration {
        self.heartbeat_interval
    }

    pub(crate) fn record_activity(&self) {
        let now = u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_activity_ms.store(now, Ordering::Relaxed);
    }

    /// The time from the start of the worker to the last activity.
    pub(crate) fn last_activity(&self) -> Duration {
        Duration::from_millis(self.last_activity_ms.load(Ordering::Relaxed))
    }

    /// Whether there was activity within the allowed silence.
    pub fn is_alive(&self) -> bool {
        self.started_at.elapsed().saturating_sub(self.last_activity()) < MAX_SILENCE
    }
}
