//! A worker: its backends, its decode threads and its circuit breakers.

use std::sync::Arc;

use backends::Backends;

use crate::circuit_breaker::CircuitBreakers;
use crate::liveness::Liveness;
use crate::render_pool::{RenderPool, default_budget};
use crate::settings::WorkerSettings;

/// Runs jobs. Clones share the decode threads, the liveness and the breakers.
#[derive(Clone)]
pub struct Worker {
    pub(crate) backends: Backends,
    pub(crate) pool: Arc<RenderPool>,
    pub(crate) settings: Arc<WorkerSettings>,
    pub(crate) liveness: Liveness,
    pub(crate) breakers: CircuitBreakers,
}

impl Worker {
    /// A worker on these backends. Its decode threads start now.
    pub fn new(settings: &WorkerSettings, backends: Backends) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if settings.worker.threads == 0 { processors } else { settings.worker.threads };
        let mut settings = settings.clone();
        if settings.worker.concurrency == 0 {
            settings.worker.concurrency = 4 * processors;
        }
        let memory = match settings.worker.memory.as_u64() {
            0 => default_budget(),
            bytes => bytes,
        };
        let pool = Arc::new(RenderPool::new(threads, memory));
        Self {
            backends,
            pool,
            settings: Arc::new(settings),
            liveness: Liveness::default(),
            breakers: CircuitBreakers::default(),
        }
    }

    /// The liveness, which tells a process supervisor whether the consumers make progress.
    pub fn liveness(&self) -> Liveness {
        self.liveness.clone()
    }

    /// The breakers, which tell a process supervisor which backends keep the worker from working.
    pub fn breakers(&self) -> CircuitBreakers {
        self.breakers.clone()
    }
}
