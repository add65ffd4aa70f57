//! The broker's figures for a queue.

/// The broker's figures for a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueStats {
    /// Messages that are not yet delivered to a worker.
    pub waiting: u64,
    /// Consumers: one for each worker that takes jobs of this queue now.
    pub consumers: u64,
}
