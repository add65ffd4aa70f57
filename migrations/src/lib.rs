//! The schema as a history of migrations: every change ever made to the tables, in order, with the names that
//! tables and columns had at that time.
//!
//! Of the program, only the commands `up` and `migrate` call this crate. The crate depends on no other crate of this
//! project, so that a change of the program can never change what an old migration did. A migration expands the schema
//! before a later one contracts it. The previous release works on the new schema, so api and worker can be upgraded one
//! by one.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm_migration::Migration;
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::sqlx::{self, sqlite::SqliteConnectOptions};
use sea_orm_migration::sea_orm::{DatabaseConnection, DatabaseTransaction, DbBackend, SqlxSqliteConnector, Statement};

mod connect;
mod error;
mod m0001_first_schema;

/// The time limit for reading the migration history.
const STATUS_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit for one migration, including the wait for another process that migrates.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(3600);

pub use error::MigrationError;

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_first_schema::Migration)]
    }
}

/// One migration, and whether the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// The migration's name, which is its file's name.
    pub name: String,
    /// Whether it has been applied.
    pub applied: bool,
}

/// Applies the migrations that the database at `url` (`sqlite://…` or `postgres://…`) does not have yet. Returns
/// their names, oldest first.
///
/// Several processes may call this at once, also through a pooler. Each migration is a transaction that holds a lock
/// from its first statement to its end. It reads under that lock which migrations are pending, so that none is applied
/// twice. A missing SQLite file is created, with its folder.
///
/// # Errors
/// If the database cannot be reached, has an encoding other than UTF-8 or refuses a statement; migrations before the
/// refused one stay applied.
pub async fn up(url: &str) -> Result<Vec<String>, MigrationError> {
    if let Some(folder) = sqlite_path(url)?.and_then(|file| file.parent().map(Path::to_owned)) {
        let to_migration_error =
            |error| MigrationError::Unreachable(format!("the folder {} cannot be made: {error}", folder.display()));
        std::fs::create_dir_all(&folder).map_err(to_migration_error)?;
    }
    let db = connect::connect(url).await?;
    let mut applied = Vec::new();
    while let Some(next) = with_timeout(MIGRATION_TIMEOUT, apply_next(&db)).await? {
        applied.push(next);
    }
    with_timeout(STATUS_TIMEOUT, async { Ok(db.close().await?) }).await?;
    Ok(applied)
}

/// Applies the oldest pending migration and returns its name.
async fn apply_next(db: &DatabaseConnection) -> Result<Option<String>, MigrationError> {
    let tx = connect::begin_locked(db).await?;
    require_utf8(&tx).await?;
    let Some(next) = names(Migrator::get_pending_migrations(&tx).await?).into_iter().next() else { return Ok(None) };
    Migrator::up(&tx, Some(1)).await?;
    connect::commit(tx).await?;
    Ok(Some(next))
}

/// Limits the time of a call to the database, because a database whose host has vanished never answers and its driver
/// waits for ever.
async fn with_timeout<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, MigrationError>>,
) -> Result<T, MigrationError> {
    let timed_out = || MigrationError::Unreachable(format!("the database did not answer within {limit:?}"));
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| Err(timed_out()))
}

/// Refuses a PostgreSQL database with another encoding than UTF-8. Such a database cannot store every name that a
/// client may send, and a request with such a name would fail every time.
async fn require_utf8(tx: &DatabaseTransaction) -> Result<(), MigrationError> {
    if tx.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let query = Statement::from_string(DbBackend::Postgres, "SELECT current_setting('server_encoding')");
    let encoding: Option<String> = tx.query_one_raw(query).await?.map(|row| row.try_get_by_index(0)).transpose()?;
    match encoding {
        Some(encoding) if encoding != "UTF8" => Err(MigrationError::UnsupportedEncoding(encoding)),
        _ => Ok(()),
    }
}

/// Returns all migrations, oldest first, and whether the database at `url` has each of them.
///
/// # Errors
/// If the database cannot be reached, or if its file does not exist.
pub async fn status(url: &str) -> Result<Vec<MigrationStatus>, MigrationError> {
    if let Some(file) = sqlite_path(url)?.filter(|file| !file.exists()) {
        return Err(MigrationError::Missing(file));
    }
    let read_pending = async {
        let db = connect::connect(url).await?;
        let tx = connect::begin(&db).await?;
        let pending = names(Migrator::get_pending_migrations_read_only(&tx).await?);
        connect::commit(tx).await?;
        db.close().await?;
        Ok(pending)
    };
    let pending = with_timeout(STATUS_TIMEOUT, read_pending).await?;
    Ok(names(Migrator::get_migration_files())
        .into_iter()
        .map(|name| MigrationStatus { applied: !pending.contains(&name), name })
        .collect())
}

fn names(migrations: Vec<Migration>) -> Vec<String> {
    migrations.into_iter().map(|migration| migration.name().to_owned()).collect()
}

/// The absolute path of the database file; None for a database server.
fn sqlite_path(url: &str) -> Result<Option<PathBuf>, MigrationError> {
    if !SqlxSqliteConnector::accepts(url) {
        return Ok(None);
    }
    let unreachable = |error: &dyn Display| MigrationError::Unreachable(error.to_string());
    let options: SqliteConnectOptions = url.parse().map_err(|error: sqlx::Error| unreachable(&error))?;
    std::path::absolute(options.get_filename()).map(Some).map_err(|error| unreachable(&error))
}
