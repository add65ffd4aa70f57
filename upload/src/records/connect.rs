//! Opens the pool of database connections: what both databases share here, what only one of them needs in `sqlite` and
//! `postgres`.

mod postgres;
mod sqlite;

use std::time::Duration;

use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};

use super::RecordsSettings;

/// Opens a pool for the database at the address in the settings.
pub(super) async fn connect(settings: &RecordsSettings) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(settings.url.expose());
    options
        .max_connections(settings.max_connections)
        .acquire_timeout(Duration::from_secs(10))
        .sqlx_logging_level(log::LevelFilter::Trace)
        .sqlx_slow_statements_logging_settings(log::LevelFilter::Warn, Duration::from_secs(1))
        .statement_timeout(Duration::from_secs(30))
        // A connection in use has just shown that it works; a ping each time costs a round trip for every statement.
        .test_before_acquire_if_idle_for(Duration::from_secs(1))
        .set_application_name("cloakroom");
    postgres::configure(&mut options);
    sqlite::configure(&mut options);
    Database::connect(options).await
}
