//! Errors of the records.

use domain::{UnknownValue, chain};
use instrument::InjectedFault;
use sea_orm::DbErr;

use crate::connect;
use crate::write_refusal::WriteRefusal;

/// An error of the records.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The database failed.
    #[error("records: {}", chain(.0))]
    Database(DbErr),
    /// The disk of the database is full.
    #[error("records are full: free space on the disk of the database, or enlarge the disk")]
    Full,
    /// The database answers but does not take writes: its disk fails, or it is a standby or set to
    /// read-only.
    #[error("records cannot be written: {}", chain(.0))]
    NotWritable(#[source] DbErr),
    /// The connection was lost while the database committed, and the outcome could not be looked up afterwards.
    #[error("records: it is not known whether this was written: {}", chain(.0))]
    OutcomeUnknown(#[source] DbErr),
    /// The database has a value that this version of the program does not know, because a newer version wrote it.
    #[error(transparent)]
    UnknownValue(#[from] UnknownValue),
    /// A row has a value that no version of the program writes.
    #[error("records: {0}")]
    CorruptRow(String),
    /// A request's hold of its idempotency key ended, and another request took the key.
    #[error("records: another request holds this idempotency key by now")]
    KeyLost,
    /// A fault injected by a test.
    #[error(transparent)]
    InjectedFault(#[from] InjectedFault),
}

impl From<DbErr> for RecordsError {
    fn from(error: DbErr) -> Self {
        match connect::write_refusal(&error) {
            Some(WriteRefusal::Full) => Self::Full,
            Some(WriteRefusal::NotWritable) => Self::NotWritable(error),
            None => Self::Database(error),
        }
    }
}

impl RecordsError {
    /// Whether trying again later can help. It can after a refused connection. It cannot if a row
    /// is unreadable.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::UnknownValue(_) | Self::CorruptRow(_) | Self::KeyLost)
    }

    /// Whether the operation may have happened in spite of this error.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::OutcomeUnknown(_) | Self::InjectedFault(_))
    }
}
