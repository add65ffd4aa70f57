//! The limits of calls and of idle connections, and the error of a call that exceeded its limit.

use std::io;
use std::time::Duration;

use sea_orm::sqlx;
use sea_orm::{DbErr, RuntimeErr};

/// A connection that has been idle for this long is tested before it is used again.
pub(crate) const IDLE_BEFORE_TEST: Duration = Duration::from_secs(1);

/// How long a transaction may be idle before PostgreSQL ends it. Transactions here take milliseconds. A machine that
/// vanishes in the middle of a transaction does not close its connection. Without this limit the locks of that
/// transaction would stay until the server notices that the machine is gone, which takes hours.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);

/// The limits that the server enforces, as a script that begins each of them with `set`. The limit of a statement is
/// shorter than the client's limit of a call. So the server ends a statement that is merely slow, and the connection
/// can still be used.
pub(crate) fn server_limits(set: &str, timeout: Duration) -> String {
    let statement = timeout.mul_f32(0.9).as_millis().max(1);
    let idle = IDLE_IN_TRANSACTION.as_millis();
    format!("{set} statement_timeout = {statement}; {set} idle_in_transaction_session_timeout = {idle}")
}

/// The error of a call that exceeded its limit.
pub(crate) fn call_timed_out(limit: Duration) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(timeout_error(limit).into()))
}

/// The error of a call that exceeded its limit, in the type of the driver.
pub(crate) fn timeout_error(limit: Duration) -> sqlx::Error {
    let why = format!("the database did not answer within {limit:?}");
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, why))
}
