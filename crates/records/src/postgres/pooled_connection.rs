//! A connection lent by the pool. Each call on it has a time limit. It returns to the pool only if it is known to be
//! good.

use std::time::Duration;

use futures::TryStreamExt;
use sea_orm::Statement;
use sea_orm::sea_query::Values;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::postgres::{PgQueryResult, PgRow};
use sea_orm::sqlx::{self, AssertSqlSafe, Either, Executor, PgConnection, Postgres};
use sea_query_sqlx::SqlxValues;
use tokio::runtime::Handle;

use super::availability::Availability;
use crate::connection_limits::timeout_error;

/// A request to the server.
#[derive(Clone, Copy)]
pub(super) enum Call<'c> {
    /// Statements without parameters, in one round trip.
    Script(&'c str),
    /// One statement with its parameters.
    Statement(&'c Statement),
}

/// The server's answer.
#[derive(Default)]
pub(super) struct CallResult {
    pub(super) rows: Vec<PgRow>,
    pub(super) result: PgQueryResult,
}

#[derive(Debug)]
pub(super) struct Connection {
    /// None once the connection has been returned.
    inner: Option<PoolConnection<Postgres>>,
    availability: Availability,
    /// The time limit of one call.
    limit: Duration,
    /// Whether the server keeps prepared statements under a name, to be run again.
    named_statements: bool,
    in_transaction: bool,
    /// Whether the connection must not be used again: a call has begun and not ended, or has ended in an error that
    /// makes the connection useless.
    unusable: bool,
}

impl Connection {
    pub(super) fn new(
        inner: PoolConnection<Postgres>,
        availability: Availability,
        limit: Duration,
        named: bool,
    ) -> Self {
        Self {
            inner: Some(inner),
            availability,
            limit,
            named_statements: named,
            in_transaction: false,
            unusable: false,
        }
    }

    /// Runs one call, with the time limit of the connection.
    pub(super) async fn call(&mut self, call: Call<'_>) -> Result<CallResult, sqlx::Error> {
        let usable = self.inner.as_mut().filter(|_| !self.unusable);
        let Some(inner) = usable else { return Err(sqlx::Error::PoolClosed) };
        // `unusable` stays true if the future is dropped before the answer has been read.
        self.unusable = true;
        let outcome = match tokio::time::timeout(self.limit, run_call(inner, call, self.named_statements)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(timeout_error(self.limit)),
        };
        self.unusable = outcome.as_ref().is_err_and(|error| self.availability.ends_connection(error));
        outcome
    }

    pub(super) async fn begin(&mut self, script: &str) -> Result<(), sqlx::Error> {
        self.in_transaction = true;
        self.call(Call::Script(script)).await.map(drop)
    }

    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.call(Call::Script("COMMIT")).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Prevents the connection from being used again.
    pub(super) fn discard(&mut self) {
        self.unusable = true;
    }
}

async fn run_call(connection: &mut PgConnection, call: Call<'_>, named: bool) -> Result<CallResult, sqlx::Error> {
    let mut stream = match call {
        Call::Script(sql) => connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))),
        Call::Statement(statement) => {
            let values = statement.values.clone().unwrap_or_else(|| Values(Vec::new()));
            let query = sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), SqlxValues(values));
            connection.fetch_many(query.persistent(named))
        }
    };
    let mut answer = CallResult::default();
    while let Some(part) = stream.try_next().await? {
        match part {
            Either::Left(result) => answer.result.extend([result]),
            Either::Right(row) => answer.rows.push(row),
        }
    }
    Ok(answer)
}

impl Drop for Connection {
    /// Returns the connection in the background, after a rollback if it is in a transaction. Both
    /// have the time limit of a call, because a connection that is being returned still occupies a
    /// place in the pool.
    fn drop(&mut self) {
        let Some(mut inner) = self.inner.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return drop(inner.leak()) };
        if self.unusable {
            // The connection is closed without a farewell message, because over TLS the message waits for the server.
            return drop(inner.detach());
        }
        let (limit, in_transaction) = (self.limit, self.in_transaction);
        runtime.spawn(async move {
            if in_transaction {
                let rolled_back =
                    tokio::time::timeout(limit, run_call(&mut inner, Call::Script("ROLLBACK"), false)).await;
                if !rolled_back.is_ok_and(|outcome| outcome.is_ok()) {
                    return drop(inner.detach());
                }
            }
            tokio::time::timeout(limit, inner.return_to_pool()).await.ok();
        });
    }
}
