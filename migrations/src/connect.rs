//! The connection that migrations use, and its transactions. Both work through PgBouncer, in session mode and in
//! transaction mode.

use std::time::Duration;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbBackend, RuntimeErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait, sqlx,
};

use crate::error::MigrationError;

/// How long the database may take to accept a connection. A database that is restarting does not
/// need longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a process waits for another process that migrates the same SQLite file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(120);

/// Opens one connection.
pub(crate) async fn connect(url: &str) -> Result<DatabaseConnection, MigrationError> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).acquire_timeout(CONNECT_TIMEOUT).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.create_if_missing(true).busy_timeout(BUSY_TIMEOUT));
    // PgBouncer refuses a client that sends extra_float_digits. No statement is cached, because `begin` deallocates
    // all prepared statements.
    options.map_sqlx_postgres_opts(|postgres| postgres.extra_float_digits(None).statement_cache_capacity(0));
    let cause = match Database::connect(options).await {
        Ok(db) => return Ok(db),
        Err(DbErr::Conn(RuntimeErr::SqlxError(error))) => match &*error {
            // The pool retries while no server listens. After the timeout it reports only that the time is up, so the
            // message is written here.
            sqlx::Error::PoolTimedOut => format!("no server accepted a connection within {CONNECT_TIMEOUT:?}"),
            error => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    Err(MigrationError::Unreachable(cause))
}

/// Begins a transaction.
///
/// A pooler in transaction mode gives one server connection to several clients in turn, and prepared statements stay on
/// the connection. The driver names its statements by numbers. A statement that another client left under such a name
/// would make ours fail, so this function deallocates all of them first.
pub(crate) async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    begin_with(db, SqliteTransactionMode::Deferred).await
}

async fn begin_with(db: &DatabaseConnection, mode: SqliteTransactionMode) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions { sqlite_transaction_mode: Some(mode), ..TransactionOptions::default() };
    let tx = db.begin_with_options(options).await?;
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared("DEALLOCATE ALL").await?;
    }
    Ok(tx)
}

/// Begins a transaction that holds the migration lock until the transaction ends. The lock belongs to the transaction
/// and not to the session, because a pooler in transaction mode gives the session, with its locks, to another client.
pub(crate) async fn begin_locked(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    // On SQLite the file is locked at once, because a transaction that reads first and writes later fails if another
    // transaction wrote in between.
    let tx = begin_with(db, SqliteTransactionMode::Immediate).await?;
    if tx.get_database_backend() == DbBackend::Postgres {
        // If the machine of a migrating process vanishes, PostgreSQL ends the session after this time, so that it does
        // not keep the lock.
        tx.execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = '60s'").await?;
        // The number is arbitrary, but every version of Cloakroom must use the same one.
        tx.execute_unprepared("SELECT pg_advisory_xact_lock(20261121)").await?;
    }
    Ok(tx)
}

/// Commits the transaction. Deallocates the prepared statements before that, so that none stays on the pooler's server
/// connection.
pub(crate) async fn commit(tx: DatabaseTransaction) -> Result<(), DbErr> {
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared("DEALLOCATE ALL").await?;
    }
    tx.commit().await
}
