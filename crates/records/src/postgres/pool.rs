//! The pool of connections, and transactions on them.

use std::cell::Cell;
use std::time::Duration;

use sea_orm::sqlx::pool::PoolConnectionMetadata;
use sea_orm::sqlx::{self, Connection as _, PgPool};
use sea_orm::{ConnAcquireErr, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use tokio::sync::Mutex;

use super::availability::{Availability, read_only_error};
use super::pooled_connection::{Call, CallResult, Connection};
use crate::connection_limits::{IDLE_BEFORE_TEST, server_limits};
use crate::settings::{Pooler, RecordsSettings};

/// How long the test of an idle connection may take. After that, another connection is opened
/// instead.
const TEST_TIMEOUT: Duration = Duration::from_secs(2);
/// The age at which a connection is replaced, so that a server's memory for it does not grow without end.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(1800);

tokio::task_local! {
    /// The age of the connection that the pool lends to this task, and how long it was idle. None for a new
    /// connection.
    static LENT: Cell<Option<(Duration, Duration)>>;
}

/// Records what is known of a connection that the pool is about to lend. Returns true, so that the pool lends every
/// connection: [`Pool::acquire`] decides whether the connection is good.
pub(super) fn note_lent(meta: PoolConnectionMetadata) -> bool {
    LENT.try_with(|lent| lent.set(Some((meta.age, meta.idle_for)))).ok();
    true
}

/// Connections to one server, or to the servers behind a pooler. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pool: PgPool,
    availability: Availability,
    timeout: Duration,
    /// The script that sets the server's limits at the start of each transaction, behind a pooler in transaction mode.
    /// None if the limits are set once for each session.
    local_limits: Option<String>,
}

/// A transaction. It rolls back if it is dropped without a commit.
#[derive(Debug)]
pub(crate) struct Transaction(Mutex<Connection>);

impl Pool {
    pub(crate) fn new(pool: PgPool, settings: &RecordsSettings, availability: Availability) -> Self {
        let local_limits = match settings.pooler {
            Pooler::None => None,
            Pooler::Transaction => Some(server_limits("SET LOCAL", settings.timeout)),
        };
        Self { pool, availability, timeout: settings.timeout, local_limits }
    }

    /// Acquires a connection to a server that takes writes.
    async fn acquire(&self) -> Result<Connection, DbErr> {
        let read_only_before = self.availability.read_only_count();
        let connection = loop {
            let acquire = async {
                let connection = self.pool.acquire().await;
                (connection, LENT.with(Cell::get))
            };
            let (connection, lent) = LENT.scope(Cell::new(None), acquire).await;
            let mut connection = connection.map_err(acquire_error)?;
            let Some((age, idle)) = lent else { break connection };
            if age < MAX_CONNECTION_AGE && !self.availability.is_retired(age) {
                if idle < IDLE_BEFORE_TEST {
                    break connection;
                }
                if tokio::time::timeout(TEST_TIMEOUT, connection.ping()).await.is_ok_and(|answer| answer.is_ok()) {
                    break connection;
                }
                self.availability.retire_connections();
            }
            // The connection is closed without a farewell message, because over TLS the message waits for the server.
            drop(connection.detach());
        };
        // A statement's name belongs to the session, and a session keeps its server only without a pooler in
        // transaction mode. So statements get names only without such a pooler.
        let named = self.local_limits.is_none();
        let mut connection = Connection::new(connection, self.availability.clone(), self.timeout, named);
        // The connection may have been opened just now, to a server that takes no writes. Then the count has changed.
        if self.availability.read_only_count() != read_only_before {
            connection.discard();
            return Err(read_only_error());
        }
        Ok(connection)
    }

    /// Begins a write transaction.
    pub(crate) async fn begin(&self) -> Result<Transaction, DbErr> {
        self.begin_with("BEGIN").await
    }

    /// Begins a read transaction that sees one snapshot.
    pub(crate) async fn begin_snapshot(&self) -> Result<Transaction, DbErr> {
        self.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await
    }

    async fn begin_with(&self, begin: &str) -> Result<Transaction, DbErr> {
        let mut connection = self.acquire().await?;
        let script = self.local_limits.as_ref().map(|limits| format!("{begin}; {limits}"));
        connection.begin(script.as_deref().unwrap_or(begin)).await.map_err(query_error)?;
        Ok(Transaction(Mutex::new(connection)))
    }

    /// Runs one call outside a transaction. Behind a pooler in transaction mode even one call needs
    /// a transaction. The driver prepares a statement in one round trip and runs it in the next,
    /// and only a transaction keeps both on the same server.
    async fn call(&self, call: Call<'_>, error: fn(sqlx::Error) -> DbErr) -> Result<CallResult, DbErr> {
        if self.local_limits.is_none() {
            return self.acquire().await?.call(call).await.map_err(error);
        }
        let tx = self.begin().await?;
        let answer = tx.call(call, error).await?;
        tx.commit().await?;
        Ok(answer)
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Records that the server has reported that it takes no writes.
    pub(crate) fn found_read_only(&self) -> DbErr {
        self.availability.found_read_only();
        read_only_error()
    }
}

impl Transaction {
    async fn call(&self, call: Call<'_>, error: fn(sqlx::Error) -> DbErr) -> Result<CallResult, DbErr> {
        self.0.lock().await.call(call).await.map_err(error)
    }

    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        self.0.into_inner().commit().await.map_err(query_error)
    }
}

/// The methods that sea-orm needs of a connection.
macro_rules! statements {
    ($($which:ident),*) => {$(
        impl $which {
            pub(crate) async fn execute(&self, statement: &Statement) -> Result<ExecResult, DbErr> {
                Ok(self.call(Call::Statement(statement), exec_error).await?.result.into())
            }

            pub(crate) async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
                Ok(self.call(Call::Script(sql), exec_error).await?.result.into())
            }

            pub(crate) async fn query(&self, statement: &Statement) -> Result<Vec<QueryResult>, DbErr> {
                let answer = self.call(Call::Statement(statement), query_error).await?;
                Ok(answer.rows.into_iter().map(QueryResult::from).collect())
            }
        }
    )*};
}

statements!(Pool, Transaction);

fn exec_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

fn acquire_error(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        error => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
    }
}
