//! What connections to PostgreSQL need.

use std::time::Duration;

use sea_orm::ConnectOptions;

/// How long a transaction may stand still before PostgreSQL ends it. Ours take milliseconds.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);

pub(super) fn configure(options: &mut ConnectOptions) {
    // A machine that vanishes in the middle of a transaction does not close its connection. Without this its locks would
    // stay for as long as the server believes in the connection: hours.
    options.map_sqlx_postgres_opts(|postgres| {
        postgres.options([("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION.as_millis().to_string())])
    });
}
