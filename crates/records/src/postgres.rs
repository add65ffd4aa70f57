//! Connections to PostgreSQL, directly or through PgBouncer.
//!
//! - `pooled_connection` runs calls with a limit and closes what a failed call leaves behind.
//! - `pool` lends connections and begins transactions.
//! - `availability` knows whether the server takes writes and which connections are too old to be trusted.
//!
//! sea-orm's own pool is not used for statements, for three reasons:
//!
//! - it has no limit for a call;
//! - it returns every connection to the pool whatever happened on it;
//! - it names the statements that it prepares, and a pooler in transaction mode mixes these names
//!   up.

mod availability;
mod pool;
mod pooled_connection;

use sea_orm::ConnectOptions;
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::{self, Executor, Row};

use crate::connection_limits::server_limits;
use crate::settings::{Pooler, RecordsSettings};
pub(crate) use availability::Availability;
pub(crate) use availability::is_read_only;
pub(crate) use pool::{Pool, Transaction};

/// Sets the keepalives of the server: the first after 30 s of silence, and three more before the server closes the
/// connection. By default the server sends the first after two hours, and until then the connections of vanished
/// machines use up its connection slots. This process does not need to send keepalives, because every call has a limit
/// and an idle connection is tested before its use. The driver could not send them.
const KEEPALIVE: &str = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3";

/// Configures the connections. No startup option is sent, because PgBouncer refuses a client that
/// sends an option that it does not know.
pub(crate) fn configure(options: &mut ConnectOptions, settings: &RecordsSettings, availability: &Availability) {
    options.map_sqlx_postgres_opts(|postgres| postgres.extra_float_digits(None));
    let read_only = "SHOW transaction_read_only";
    let script = match settings.pooler {
        Pooler::None => format!("{}; {KEEPALIVE}; {read_only}", server_limits("SET", settings.timeout)),
        // What a session sets behind such a pooler passes to other clients together with the server connection. So
        // nothing is set here.
        Pooler::Transaction => read_only.to_owned(),
    };
    let availability = availability.clone();
    options.map_sqlx_postgres_pool_opts(move |pool| {
        let (script, availability) = (script.clone(), availability.clone());
        pool.after_connect(move |connection, _| {
            let (script, availability) = (script.clone(), availability.clone());
            Box::pin(async move {
                let row = connection.fetch_one(sqlx::raw_sql(sqlx::AssertSqlSafe(script))).await?;
                availability.connection_opened(row.try_get::<&str, _>(0)? == "on");
                Ok(())
            })
        })
        // `Pool::acquire` decides whether a connection is good. If this function rejected one, the
        // driver would close it with a message. Over TLS the message waits for the server, and a
        // server that vanished never answers.
        .before_acquire(|_, meta| Box::pin(async move { Ok(pool::note_lent(meta)) }))
        .idle_timeout(None)
        .max_lifetime(None)
    });
}

/// Whether an error says that PostgreSQL does not take writes because its disk is full, by its SQLSTATE `disk_full`.
pub(crate) fn is_full(error: &dyn DatabaseError) -> bool {
    error.code().as_deref() == Some("53100")
}
