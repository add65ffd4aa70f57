//! The schema as a history: every change ever made to the tables, in order, each spelled out with the names it had then.
//!
//! The binary's `up` and `migrate` call this; nothing else does. It depends on nothing of ours, so that a change of the
//! program can never change what an old migration did. A migration expands before a later one contracts: the previous
//! release of the program keeps working on the new schema, which is what lets api and worker be upgraded one by one.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm_migration::Migration;
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::sqlx::{self, sqlite::SqliteConnectOptions};
use sea_orm_migration::sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DbBackend, RuntimeErr, SqlxSqliteConnector,
};

mod m0001_first_schema;
mod m0002_resources;
mod m0003_documents;
mod m0004_prefixes;
mod m0005_unclaimed;
mod m0008_attempts;

/// How long a database may take to take us in. One that is restarting does not need longer.
const PATIENCE: Duration = Duration::from_secs(5);

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_first_schema::Migration),
            Box::new(m0002_resources::Migration),
            Box::new(m0003_documents::Migration),
            Box::new(m0004_prefixes::Migration),
            Box::new(m0005_unclaimed::Migration),
            Box::new(m0008_attempts::Migration),
        ]
    }
}

/// Why the schema is not up to date, or not known to be. Each says it whole: the database's words are told once.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no file at this path, and looking does not make one.
    #[error(
        "there is no {}: run this where cloakroom.toml is, or set CLOAKROOM__DATA_DIR; \
         for a new database run `cloakroom migrate up`", .0.display()
    )]
    Missing(PathBuf),
    /// The database could not be opened, and why. Whoever knows the address tells it, without its password.
    #[error("{0}")]
    Unreachable(String),
    /// The database refused, in its own words.
    #[error("the records' schema could not be brought up to date: {0}")]
    Refused(String),
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        Self::Refused(error.to_string())
    }
}

/// One step of the history and whether the database at hand has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The migration's name, which is its file's.
    pub name: String,
    /// Whether it has been applied.
    pub applied: bool,
}

/// Applies what the database at `url` (`sqlite://…` or `postgres://…`) does not have yet and names it, oldest first.
///
/// Several processes may call this at once: on PostgreSQL an advisory lock makes them take turns, on SQLite the file's.
/// A file of SQLite's is made, with its folder, where there is none.
///
/// # Errors
/// When the database cannot be reached or refuses a statement; steps before the refused one stay applied.
pub async fn up(url: &str) -> Result<Vec<String>, Error> {
    if let Some(folder) = file(url)?.and_then(|file| file.parent().map(Path::to_owned)) {
        let cannot = |error| Error::Unreachable(format!("the folder {} cannot be made: {error}", folder.display()));
        std::fs::create_dir_all(&folder).map_err(cannot)?;
    }
    let db = connect(url).await?;
    let postgres = db.get_database_backend() == DbBackend::Postgres;
    // The number is arbitrary; that every release uses the same one is the point.
    if postgres {
        db.execute_unprepared("SELECT pg_advisory_lock(20261121)").await?;
    }
    let pending = names(Migrator::get_pending_migrations(&db).await?);
    let outcome = Migrator::up(&db, None).await;
    if postgres {
        db.execute_unprepared("SELECT pg_advisory_unlock(20261121)").await?;
    }
    outcome?;
    db.close().await?;
    Ok(pending)
}

/// The whole history, oldest first, and which steps the database at `url` has.
///
/// # Errors
/// When the database cannot be reached or, being a file, is not there.
pub async fn status(url: &str) -> Result<Vec<Step>, Error> {
    if let Some(file) = file(url)?.filter(|file| !file.exists()) {
        return Err(Error::Missing(file));
    }
    let db = connect(url).await?;
    let pending = names(Migrator::get_pending_migrations(&db).await?);
    db.close().await?;
    Ok(names(Migrator::get_migration_files())
        .into_iter()
        .map(|name| Step { applied: !pending.contains(&name), name })
        .collect())
}

fn names(migrations: Vec<Migration>) -> Vec<String> {
    migrations.into_iter().map(|migration| migration.name().to_owned()).collect()
}

/// The whole path of the file that is the database, None where it is a server's.
fn file(url: &str) -> Result<Option<PathBuf>, Error> {
    if !SqlxSqliteConnector::accepts(url) {
        return Ok(None);
    }
    let unreachable = |error: &dyn Display| Error::Unreachable(error.to_string());
    let options: SqliteConnectOptions = url.parse().map_err(|error: sqlx::Error| unreachable(&error))?;
    std::path::absolute(options.get_filename()).map(Some).map_err(|error| unreachable(&error))
}

/// One connection, so that the advisory lock and the migrations share a session.
async fn connect(url: &str) -> Result<DatabaseConnection, Error> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).acquire_timeout(PATIENCE).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.create_if_missing(true));
    let cause = match Database::connect(options).await {
        Ok(db) => return Ok(db),
        Err(DbErr::Conn(RuntimeErr::SqlxError(error))) => match &*error {
            // A pool asks again where nobody listens, and all it tells in the end is that its time was up.
            sqlx::Error::PoolTimedOut => format!("nobody took a connection within {PATIENCE:?}"),
            error => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    Err(Error::Unreachable(cause))
}
