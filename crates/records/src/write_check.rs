//! Whether the records can be written, as distinct from whether they answer: a database on a full or failing disk
//! still answers reads.
//!
//! Only SQLite is checked here. Every commit reports its result, so that a busy process writes nothing extra. Without
//! a recent commit a probe writes one page: `PRAGMA user_version` is a real transaction, which is synced like any
//! other.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use instrument::LowSpace;
use sea_orm::{ConnectionTrait, DbErr};

use crate::error::RecordsError;
use crate::records::Records;

/// How long a successful write counts as proof. One probe costs a page and an fsync.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// How often a database that refused a write is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// With less free space than this, a probe of one page can succeed although the transaction of an upload would not.
const MIN_TRANSACTION_SPACE: u64 = 1 << 20;

/// The result of the last write.
#[derive(Debug, Default)]
pub(crate) struct WriteCheck(Mutex<LastWrite>);

#[derive(Debug, Default)]
struct LastWrite {
    /// When the last write ended, successfully or not.
    at: Option<Instant>,
    /// Why it was refused.
    refusal: Option<DbErr>,
}

impl WriteCheck {
    /// Records the result of a write. An error that says nothing about the disk is ignored.
    pub(crate) fn record(&self, ended: &Result<(), DbErr>) {
        let refused = match ended {
            Ok(()) => None,
            Err(error) if super::connect::write_refusal(error).is_some() => Some(error.clone()),
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
    fn refusal(&self) -> Option<DbErr> {
        self.last_write().refusal.clone()
    }

    /// Whether a probe is due; the caller must then make it.
    fn take_probe_due(&self) -> bool {
        let mut known = self.last_write();
        let holds = if known.refusal.is_some() { RETRY_INTERVAL } else { PROBE_INTERVAL };
        let due = known.at.is_none_or(|at| at.elapsed() >= holds);
        if due {
            known.at = Some(Instant::now());
        }
        due
    }

    fn last_write(&self) -> MutexGuard<'_, LastWrite> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    /// Checks whether the records can be written. Only SQLite is checked: by a write of one page at most every 5 s,
    /// and every 1 s after a refused write.
    pub(crate) async fn check_writable(&self) -> Result<(), RecordsError> {
        let Some(writes) = &self.write_check else { return Ok(()) };
        if writes.take_probe_due() {
            let probe = async {
                let _write_lock = self.write_lock().await?;
                self.db.execute_unprepared("PRAGMA user_version = 0").await.map(drop)
            };
            writes.record(&probe.await);
        }
        if let Some(refused) = writes.refusal() {
            return Err(refused.into());
        }
        match &self.free_space {
            Some(space) if space.free().await.is_some_and(|free| free < MIN_TRANSACTION_SPACE) => {
                Err(RecordsError::Full)
            }
            _ => Ok(()),
        }
    }

    /// Does the same for an upload that is about to arrive: nothing is written unless the last write was refused.
    ///
    /// # Errors
    /// [`RecordsError::Full`] or [`RecordsError::NotWritable`].
    pub async fn check_accepts_writes(&self) -> Result<(), RecordsError> {
        match &self.write_check {
            Some(writes) if writes.refusal().is_some() => self.check_writable().await,
            _ => Ok(()),
        }
    }

    /// Checks that the file of the records keeps its reserve. Always succeeds for a database server.
    ///
    /// # Errors
    /// [`LowSpace`] if not.
    pub async fn check_space(&self) -> Result<(), LowSpace> {
        match &self.free_space {
            Some(space) => space.check(0).await,
            None => Ok(()),
        }
    }
}
