//! Commits whose outcome is not known. A COMMIT that fails may have happened: its answer can be lost with the
//! connection.
//!
//! Two operations look the outcome up before they answer: `admit` and `admit_into_file`. If they
//! reported a failure although the commit has happened, the caller would delete the staged bytes of
//! an admitted upload, and the client would send the upload again.
//!
//! The other operations need no look-up, because repeating them after such a report changes nothing:
//!
//! - `begin_attempt_with_prefix` counts an attempt once for each prefix, and a worker repeats the call with the same
//!   prefix;
//! - settling (`settle_*`, `mark_dead`, `reschedule`, the variants' ends) is fenced by the attempt's number and the
//!   job's row: the second try is void, and a waiting client reads the outcome from the upload's row;
//! - `claim`, `crop`, grants, shares, registrations and deletions of the same thing by the same caller have the same
//!   result a second time;
//! - `request_variant`: a variant whose job was committed is found by the next request, and the relay publishes the
//!   job;
//! - `expire`, `fail_overdue`, `take_due_deletions` and the other sweeps take up rows by their state;
//! - idempotency keys: a key that is held by a lost `lock_idempotency_key` is released when its hold ends, and a lost
//!   `store_idempotent_response` leaves a key that names its upload.

use std::time::Duration;

use sea_orm::DbErr;
use tokio::time::Instant;

use crate::error::RecordsError;
use crate::records::Records;
use crate::write_tx::WriteTx;

/// How long an outcome is looked up before the operation ends with [`RecordsError::OutcomeUnknown`]. A database
/// restarts in less time.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(15);
/// The pause between two look-ups that failed.
const LOOKUP_PAUSE: Duration = Duration::from_millis(200);

/// A write whose outcome can be looked up.
pub(crate) trait CommitLookup {
    /// What it wrote.
    type Found;

    /// Returns what the write wrote; None if the write did not happen. An implementation must wait for the transaction
    /// of the write if the database has not ended it yet, because it can still be committing when its connection is
    /// lost. What an implementation writes itself is rolled back.
    fn find(&self, tx: &WriteTx) -> impl Future<Output = Result<Option<Self::Found>, DbErr>> + Send;
}

impl Records {
    /// Commits. If that fails, looks up whether `what` happened nevertheless.
    pub(crate) async fn commit_or_look_up(&self, tx: WriteTx, what: impl CommitLookup) -> Result<(), RecordsError> {
        let Err(error) = tx.commit().await else { return Ok(()) };
        match self.look_up(&error, what).await? {
            Some(_) => Ok(()),
            None => Err(error.into()),
        }
    }

    /// Looks up the outcome of a write whose COMMIT ended with the error `lost`. Repeats the look-up until the database
    /// answers, for [`LOOKUP_TIMEOUT`] at most.
    async fn look_up<L: CommitLookup>(&self, lost: &DbErr, what: L) -> Result<Option<L::Found>, RecordsError> {
        if matches!(lost, DbErr::Conn(_) | DbErr::ConnectionAcquire(_)) {
            // There was no connection to send the COMMIT on.
            return Ok(None);
        }
        let until = Instant::now() + LOOKUP_TIMEOUT;
        let looking = async {
            loop {
                let found = async { what.find(&self.begin_write().await?).await };
                match found.await {
                    Ok(found) => return found,
                    Err(error) => tracing::debug!(%error, "the outcome of a write cannot be looked up yet: {error}"),
                }
                tokio::time::sleep(LOOKUP_PAUSE).await;
            }
        };
        match tokio::time::timeout_at(until, looking).await {
            Ok(found) => {
                tracing::info!(happened = found.is_some(), "looked up a write whose outcome was unknown: {lost}");
                Ok(found)
            }
            Err(_) => Err(RecordsError::OutcomeUnknown(lost.clone())),
        }
    }
}
