//! The database of the records: a pool of connections to one of the two engines, and transactions on it. Every
//! statement of every operation passes here.

use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

use crate::connection_limits::call_timed_out;
use crate::postgres;

/// A pool of connections. Clones share it.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    /// The connections, and the time limit of one call. The limit is for a file on a disk that does not answer.
    Sqlite(DatabaseConnection, Duration),
    Postgres(postgres::Pool),
}

/// A transaction. It rolls back if it is dropped without a commit.
#[derive(Debug)]
pub(crate) enum Transaction {
    Sqlite(DatabaseTransaction, Duration),
    Postgres(postgres::Transaction),
}

impl Database {
    /// Begins a write transaction. On SQLite the transaction is immediate, because a transaction that reads
    /// first can fail at its first write.
    pub(crate) async fn begin(&self) -> Result<Transaction, DbErr> {
        match self {
            Self::Sqlite(db, limit) => {
                let options = TransactionOptions {
                    sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                    ..TransactionOptions::default()
                };
                Ok(Transaction::Sqlite(with_timeout(*limit, db.begin_with_options(options)).await?, *limit))
            }
            Self::Postgres(pool) => Ok(Transaction::Postgres(pool.begin().await?)),
        }
    }

    /// Begins a read transaction that sees one snapshot. On SQLite every transaction does, and there are no isolation
    /// levels to choose from.
    pub(crate) async fn begin_snapshot(&self) -> Result<Transaction, DbErr> {
        match self {
            Self::Sqlite(db, limit) => Ok(Transaction::Sqlite(with_timeout(*limit, db.begin()).await?, *limit)),
            Self::Postgres(pool) => Ok(Transaction::Postgres(pool.begin_snapshot().await?)),
        }
    }

    /// Closes the connections once those in use have been returned.
    pub(crate) async fn close(self) -> Result<(), DbErr> {
        match self {
            Self::Sqlite(db, limit) => with_timeout(limit, db.close()).await,
            Self::Postgres(pool) => {
                pool.close().await;
                Ok(())
            }
        }
    }
}

impl Transaction {
    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        match self {
            Self::Sqlite(tx, limit) => with_timeout(limit, tx.commit()).await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }
}

/// Runs one call to SQLite, with a time limit. A call that exceeds the limit may still take effect later.
async fn with_timeout<T>(limit: Duration, call: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| Err(call_timed_out(limit)))
}

/// Implements `ConnectionTrait` for each of these types: the statements are run by the connection of the engine.
macro_rules! connection {
    ($($which:ident),*) => {$(
        #[async_trait]
        impl ConnectionTrait for $which {
            fn get_database_backend(&self) -> DbBackend {
                match self {
                    Self::Sqlite(..) => DbBackend::Sqlite,
                    Self::Postgres(_) => DbBackend::Postgres,
                }
            }

            async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
                match self {
                    Self::Sqlite(db, limit) => with_timeout(*limit, db.execute_raw(statement)).await,
                    Self::Postgres(db) => db.execute(&statement).await,
                }
            }

            async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
                match self {
                    Self::Sqlite(db, limit) => with_timeout(*limit, db.execute_unprepared(sql)).await,
                    Self::Postgres(db) => db.execute_unprepared(sql).await,
                }
            }

            async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
                match self {
                    Self::Sqlite(db, limit) => with_timeout(*limit, db.query_one_raw(statement)).await,
                    Self::Postgres(db) => Ok(db.query(&statement).await?.into_iter().next()),
                }
            }

            async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
                match self {
                    Self::Sqlite(db, limit) => with_timeout(*limit, db.query_all_raw(statement)).await,
                    Self::Postgres(db) => db.query(&statement).await,
                }
            }
        }
    )*};
}

connection!(Database, Transaction);
