//! Whether the records can be written, as distinct from whether they answer: a database on a full or failing disk
//! still answers reads.
//!
//! Only SQLite is checked here. Every commit reports its result, so that a busy process writes nothing extra. Without
//! a recent commit a probe writes one page: `PRAGMA user_version` is a real transaction, which is synced like any
//! other.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::DbErr;

use crate::connect::write_refusal;

/// How long a successful write counts as proof. One probe costs a page and an fsync.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// How often a database that refused a write is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The result of the last write.
#[derive(Debug, Default)]
pub(crate) struct WriteCheck(Mutex<LastWrite>);

#[derive(Debug, Default)]
struct LastWrite {
    /// When the last write ended, successfully or not.
    at: Option<Instant>,
    /// Why the last write was refused.
    refusal: Option<DbErr>,
}

impl WriteCheck {
    /// Records the result of a write. An error that says nothing about the disk is ignored.
    pub(crate) fn record(&self, ended: &Result<(), DbErr>) {
        let refused = match ended {
            Ok(()) => None,
            Err(error) if write_refusal(error).is_some() => Some(error.clone()),
            Err(_) => return,
        };
        let mut known = self.last_write();
        match (&known.refusal, &refused) {
            (None, Some(error)) => tracing::error!(%error, "the records cannot be written: {error}"),
            (Some(_), None) => tracing::info!("the records can be written again"),
            _ => {}
        }
        *known = LastWrite { at: Some(Instant::now()), refusal: refused };
    }

    /// The last refusal, if it still applies.
    pub(crate) fn refusal(&self) -> Option<DbErr> {
        self.last_write().refusal.clone()
    }

    /// Whether a probe is due; the caller must then make it.
    pub(crate) fn take_probe_due(&self) -> bool {
        let mut known = self.last_write();
        let interval = if known.refusal.is_some() { RETRY_INTERVAL } else { PROBE_INTERVAL };
        let due = known.at.is_none_or(|at| at.elapsed() >= interval);
        if due {
            known.at = Some(Instant::now());
        }
        due
    }

    fn last_write(&self) -> MutexGuard<'_, LastWrite> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
