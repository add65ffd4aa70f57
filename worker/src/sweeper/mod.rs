//! The sweeper: repairs and cleans up on a timer. It needs no message, because it finds its work in the backends. The
//! same code does the repairs after a crash and the daily cleaning. Any number of sweepers may run.
//!
//! - `fail_overdue` settles overdue uploads as failed.
//! - `outbox_relay` publishes job messages that the queue does not hold.
//! - `expire_unclaimed` expires uploads that were not claimed.
//! - `purge_files` ends deleted files whose grace period is over.
//! - `delete_blobs` runs the scheduled deletions.
//! - `delete_orphans` deletes staged bytes that no upload needs.
//! - This file deletes expired idempotency keys and ended sessions.

mod delete_blobs;
mod delete_orphans;
mod expire_unclaimed;
mod fail_overdue;
mod outbox_relay;
mod purge_files;

use std::time::{Duration, Instant};

use backends::{BackendError, Backends};
use tokio_util::sync::CancellationToken;

use crate::attempt_result::chain;
use crate::settings::SweepSettings;

/// The counts of one round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Uploads that expired unclaimed.
    pub expired: usize,
    /// Deleted files whose grace period was over, purged.
    pub purged_files: usize,
    /// Uploads settled as failed at their deadline.
    pub failed: usize,
    /// Job messages published again.
    pub republished: usize,
    /// Blobs deleted.
    pub deleted_blobs: usize,
    /// Staged objects that no upload needed, deleted.
    pub deleted_orphans: usize,
    /// Idempotency keys whose stored answers have expired, deleted.
    pub deleted_idempotency_keys: usize,
    /// Sessions past their absolute end, deleted.
    pub deleted_sessions: usize,
}

/// Sweeps the four backends.
#[derive(Clone, Debug)]
pub struct Sweeper {
    backends: Backends,
    settings: SweepSettings,
}

impl Sweeper {
    /// A sweeper of these backends.
    pub fn new(settings: &SweepSettings, backends: Backends) -> Self {
        Self { backends, settings: settings.clone() }
    }

    /// Sweeps in rounds until `stop`. A round that fails is logged, and the next one tries again.
    pub async fn run(&self, stop: CancellationToken) {
        let mut orphans_at: Option<Instant> = None;
        loop {
            let orphans = orphans_at.is_none_or(|at| at.elapsed() >= self.settings.orphan_interval);
            if orphans {
                orphans_at = Some(Instant::now());
            }
            match self.run_round(orphans).await {
                Ok(swept) if swept == SweepReport::default() => {}
                Ok(swept) => tracing::info!(
                    expired = swept.expired,
                    purged_files = swept.purged_files,
                    failed = swept.failed,
                    published = swept.republished,
                    deleted_blobs = swept.deleted_blobs,
                    deleted_orphans = swept.deleted_orphans,
                    deleted_idempotency_keys = swept.deleted_idempotency_keys,
                    deleted_sessions = swept.deleted_sessions,
                    "swept"
                ),
                Err(error) => tracing::warn!(error = chain(&error), "a sweep failed in part; the next sweep continues"),
            }
            let pause = tokio::time::sleep(self.settings.interval);
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// Runs one round, including the search for orphans, and returns its counts.
    ///
    /// # Errors
    /// If a backend does not answer. Changes made before that remain.
    pub async fn sweep_once(&self) -> Result<SweepReport, BackendError> {
        self.run_round(true).await
    }

    async fn delete_expired_idempotency_keys(&self) -> Result<usize, BackendError> {
        let mut deleted = 0;
        loop {
            let batch = self.backends.records.delete_expired_idempotency_keys(self.settings.batch_size).await?;
            deleted += usize::try_from(batch).unwrap_or_default();
            if batch == 0 {
                return Ok(deleted);
            }
        }
    }

    async fn delete_ended_sessions(&self) -> Result<usize, BackendError> {
        let mut removed = 0;
        loop {
            let batch = self.backends.records.delete_ended_sessions(self.settings.batch_size).await?;
            removed += usize::try_from(batch).unwrap_or_default();
            if batch < self.settings.batch_size {
                return Ok(removed);
            }
        }
    }

    async fn run_round(&self, orphans: bool) -> Result<SweepReport, BackendError> {
        // The clock may have drifted since the last round, and nothing must count as overdue because of that.
        self.backends.records.synchronize_clock().await?;
        // A step that fails does not stop the others, because on a full disk the later steps free space.
        let mut first = None;
        let mut done = |outcome: Result<usize, BackendError>| {
            outcome.unwrap_or_else(|error| {
                first.get_or_insert(error);
                0
            })
        };
        let swept = SweepReport {
            deleted_idempotency_keys: done(self.delete_expired_idempotency_keys().await),
            deleted_sessions: done(self.delete_ended_sessions().await),
            failed: done(self.fail_overdue().await),
            republished: done(self.relay_outbox().await),
            expired: done(self.expire_unclaimed().await),
            purged_files: done(self.purge_files().await),
            deleted_orphans: if orphans { done(self.delete_orphans(self.settings.min_orphan_age).await) } else { 0 },
            deleted_blobs: done(self.delete_blobs().await),
        };
        first.map_or(Ok(swept), Err)
    }

    /// Deletes staged bytes that no upload needs and that are older than `age`. [`run`](Self::run) uses the age in the
    /// settings. A process that knows that no upload is in progress may use a lower one.
    ///
    /// # Errors
    /// If a backend does not answer.
    pub async fn delete_orphans(&self, age: Duration) -> Result<usize, BackendError> {
        self.delete_orphans_older_than(age).await
    }
}
