//! Configuration of connections to SQLite.

use std::time::Duration;

use sea_orm::ConnectOptions;
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::sqlite::{SqliteConnection, SqliteError, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, Connection};

use crate::write_refusal::WriteRefusal;

/// Configures the connections; `limit` is the limit of one call.
pub(super) fn configure(options: &mut ConnectOptions, limit: Duration) {
    // The synchronous mode is "full", because in WAL mode "normal" may lose the last commits in a power failure, and
    // those were acknowledged.
    options.map_sqlx_sqlite_opts(move |sqlite| {
        sqlite
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // SQLite waits for a lock less than the limit of a call, so that the wait ends with SQLite's own error.
            .busy_timeout(limit.mul_f32(0.9))
            .pragma("journal_size_limit", "67108864")
    });
    options.map_sqlx_sqlite_pool_opts(|pool| {
        pool.after_release(|connection, _| Box::pin(async move { Ok(is_outside_transaction(connection).await) }))
    });
}

/// Whether no transaction is left on a released connection, according to SQLite and to the driver's count. The pool
/// closes a connection for which this is false.
///
/// SQLite rolls a transaction back by itself when the disk is full or a read or write fails. The ROLLBACK that the
/// driver sends then fails, and the driver goes on counting the transaction as open: every later transaction on the
/// connection would be a savepoint, and its COMMIT would commit nothing.
///
/// A transaction that was dropped has its ROLLBACK queued when its connection is released, and the statements here
/// run after it. SQLite refuses BEGIN inside a transaction. Outside a transaction, BEGIN and ROLLBACK take no lock
/// and access no file.
async fn is_outside_transaction(connection: &mut SqliteConnection) -> bool {
    let outside = sqlx::raw_sql("BEGIN; ROLLBACK").execute(&mut *connection).await;
    let clean = outside.is_ok() && !connection.is_in_transaction();
    if !clean {
        tracing::debug!("closing a connection to SQLite whose transaction did not end cleanly");
    }
    clean
}

/// Whether an error says that SQLite does not take writes, by its result code without the extended part.
pub(super) fn write_refusal(error: &dyn DatabaseError) -> Option<WriteRefusal> {
    error.try_downcast_ref::<SqliteError>()?;
    match error.code()?.parse::<u32>().ok()? & 0xff {
        // SQLITE_FULL
        13 => Some(WriteRefusal::Full),
        // SQLITE_READONLY, SQLITE_IOERR, SQLITE_CANTOPEN
        8 | 10 | 14 => Some(WriteRefusal::NotWritable),
        _ => None,
    }
}
