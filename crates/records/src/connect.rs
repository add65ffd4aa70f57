//! Opens the pool of database connections. Code for both databases is here; `sqlite` and `postgres` have what only
//! one of them needs.

mod address;
mod sqlite;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::{ConnectOptions, DbBackend, DbErr, RuntimeErr, SqlxSqliteConnector};

use crate::connection_limits::IDLE_BEFORE_TEST;
use crate::database::Database;
use crate::postgres;
use crate::settings::RecordsSettings;
use crate::write_refusal::WriteRefusal;

/// Opens a pool for the database at the address in the settings.
pub(crate) async fn connect(settings: &RecordsSettings) -> Result<Database, DbErr> {
    let address = settings.database_url().map_err(|error| DbErr::Custom(error.to_string()))?;
    let mut options = ConnectOptions::new(address);
    options
        .max_connections(settings.max_connections)
        .acquire_timeout(settings.timeout)
        .sqlx_logging_level(log::LevelFilter::Trace)
        .sqlx_slow_statements_logging_settings(log::LevelFilter::Warn, Duration::from_secs(1))
        // Only connections that were idle are tested. A connection in use has just shown that it works, and a ping each
        // time would cost a round trip for every statement.
        .test_before_acquire_if_idle_for(IDLE_BEFORE_TEST)
        .set_application_name("cloakroom");
    let availability = postgres::Availability::default();
    postgres::configure(&mut options, settings, &availability);
    sqlite::configure(&mut options, settings.timeout);
    let db = sea_orm::Database::connect(options).await?;
    Ok(match db.get_database_backend() {
        DbBackend::Postgres => {
            let pool = db.get_postgres_connection_pool().clone();
            Database::Postgres(postgres::Pool::new(pool, settings, availability))
        }
        _ => Database::Sqlite(db, settings.timeout),
    })
}

/// Whether an error says that the database does not take writes, and why.
pub(crate) fn write_refusal(error: &DbErr) -> Option<WriteRefusal> {
    if postgres::is_read_only(error) {
        return Some(WriteRefusal::NotWritable);
    }
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error else {
        return None;
    };
    let error = error.as_database_error()?;
    sqlite::write_refusal(error).or_else(|| postgres::is_full(error).then_some(WriteRefusal::Full))
}

/// The folder of the database file, None for a database server.
pub(crate) fn database_folder(settings: &RecordsSettings) -> Result<Option<PathBuf>, DbErr> {
    let url = settings.url.expose();
    if !SqlxSqliteConnector::accepts(url) {
        return Ok(None);
    }
    let options: SqliteConnectOptions = url.parse().map_err(|error| DbErr::Custom(format!("records.url: {error}")))?;
    Ok(options
        .get_filename()
        .parent()
        .map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder }.to_owned()))
}
