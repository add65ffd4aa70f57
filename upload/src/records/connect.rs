//! Opens the pool of database connections: what both databases share here, what only one of them needs in `sqlite` and
//! `postgres`.

mod address;
pub(super) mod postgres;
mod sqlite;

use std::time::Duration;

use sea_orm::{ConnectOptions, DbBackend, DbErr};

use super::RecordsSettings;
use super::database::Database;

/// A connection that has been idle for so long is tested before it is used again.
const IDLE: Duration = Duration::from_secs(1);

/// Opens a pool for the database at the address in the settings.
pub(super) async fn connect(settings: &RecordsSettings) -> Result<Database, DbErr> {
    let address = settings.address().map_err(|error| DbErr::Custom(error.to_string()))?;
    let mut options = ConnectOptions::new(address);
    options
        .max_connections(settings.max_connections)
        .acquire_timeout(settings.timeout)
        .sqlx_logging_level(log::LevelFilter::Trace)
        .sqlx_slow_statements_logging_settings(log::LevelFilter::Warn, Duration::from_secs(1))
        // A connection in use has just shown that it works; a ping each time costs a round trip for every statement.
        .test_before_acquire_if_idle_for(IDLE)
        .set_application_name("cloakroom");
    let availability = postgres::Availability::default();
    postgres::configure(&mut options, settings, &availability);
    sqlite::configure(&mut options);
    let db = sea_orm::Database::connect(options).await?;
    Ok(match db.get_database_backend() {
        DbBackend::Postgres => {
            let pool = db.get_postgres_connection_pool().clone();
            Database::Postgres(postgres::Pool::new(pool, settings, availability))
        }
        _ => Database::Sqlite(db),
    })
}
