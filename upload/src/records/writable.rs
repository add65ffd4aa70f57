//! Whether the records can be written, as distinct from whether they answer: a database on a full or failing disk goes on
//! answering reads.
//!
//! Only SQLite is asked here. Every commit says how it went, so that a busy process writes nothing for this. Without a
//! recent commit a probe writes one page: `PRAGMA user_version` is a real transaction, which is synced like any other.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DbErr};

use super::{Records, RecordsError};
use crate::free_space::LowSpace;

/// How long a write that went well stands for the next one. One probe costs a page and an fsync.
const HOLDS: Duration = Duration::from_secs(5);

/// How often a database that refused a write is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// With less free space than this a probe of one page can go well while the transaction of an upload does not.
const ROOM_FOR_A_TRANSACTION: u64 = 1 << 20;

/// What is known of writing.
#[derive(Debug, Default)]
pub(super) struct WriteCheck(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// When the last write ended, well or not.
    at: Option<Instant>,
    /// Why it was refused.
    refused: Option<DbErr>,
}

impl WriteCheck {
    /// Takes down how a write ended. An error that says nothing about the disk is not counted.
    pub(super) fn note(&self, ended: &Result<(), DbErr>) {
        let refused = match ended {
            Ok(()) => None,
            Err(error) if super::connect::write_refusal(error).is_some() => Some(error.clone()),
            Err(_) => return,
        };
        let mut known = self.known();
        match (&known.refused, &refused) {
            (None, Some(error)) => tracing::error!(%error, "the records cannot be written: {error}"),
            (Some(_), None) => tracing::info!("the records can be written again"),
            _ => {}
        }
        *known = Known { at: Some(Instant::now()), refused };
    }

    /// The last refusal that still stands.
    fn refused(&self) -> Option<DbErr> {
        self.known().refused.clone()
    }

    /// Whether a probe is due; the caller is then the one to make it.
    fn take_due(&self) -> bool {
        let mut known = self.known();
        let holds = if known.refused.is_some() { RETRY } else { HOLDS };
        let due = known.at.is_none_or(|at| at.elapsed() >= holds);
        if due {
            known.at = Some(Instant::now());
        }
        due
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    /// Whether the records can be written. SQLite alone is asked, by a write of one page at most every 5 seconds, and
    /// every second after a refused write.
    pub(super) async fn check_writable(&self) -> Result<(), RecordsError> {
        let Some(writes) = &self.writes else { return Ok(()) };
        if writes.take_due() {
            let probe = async {
                let _turn = self.turn().await?;
                self.db.execute_unprepared("PRAGMA user_version = 0").await.map(drop)
            };
            writes.note(&probe.await);
        }
        if let Some(refused) = writes.refused() {
            return Err(refused.into());
        }
        match &self.space {
            Some(space) if space.free().await.is_some_and(|free| free < ROOM_FOR_A_TRANSACTION) => {
                Err(RecordsError::Full)
            }
            _ => Ok(()),
        }
    }

    /// The same for an upload that is about to come: nothing is written unless the last write was refused.
    ///
    /// # Errors
    /// [`RecordsError::Full`] or [`RecordsError::NotWritable`].
    pub async fn accept_writes(&self) -> Result<(), RecordsError> {
        match &self.writes {
            Some(writes) if writes.refused().is_some() => self.check_writable().await,
            _ => Ok(()),
        }
    }

    /// Whether the file of the records leaves its reserve free. True for a database server.
    ///
    /// # Errors
    /// [`LowSpace`] if not.
    pub(crate) async fn check_space(&self) -> Result<(), LowSpace> {
        match &self.space {
            Some(space) => space.check(0).await,
            None => Ok(()),
        }
    }
}
