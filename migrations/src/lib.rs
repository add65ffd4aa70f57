//! The schema as a history: every change ever made to the tables, in order, each spelled out with the names it had then.
//!
//! The binary's `up` and `migrate` call this; nothing else does. It depends on nothing of ours, so that a change of the
//! program can never change what an old migration did. A migration expands before a later one contracts: the previous
//! release of the program keeps working on the new schema, which is what lets api and worker be upgraded one by one.

use sea_orm_migration::Migration;
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectOptions, Database, DatabaseConnection, DbBackend};

mod m0001_first_schema;
mod m0002_resources;
mod m0003_documents;
mod m0004_prefixes;
mod m0005_unclaimed;

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_first_schema::Migration),
            Box::new(m0002_resources::Migration),
            Box::new(m0003_documents::Migration),
            Box::new(m0004_prefixes::Migration),
            Box::new(m0005_unclaimed::Migration),
        ]
    }
}

/// A migration that could not be read, applied or recorded, with the database's own words.
#[derive(Debug, thiserror::Error)]
#[error("the records' schema could not be brought up to date: {0}")]
pub struct Error(#[from] DbErr);

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
///
/// # Errors
/// When the database cannot be reached or refuses a statement; steps before the refused one stay applied.
pub async fn up(url: &str) -> Result<Vec<String>, Error> {
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
/// When the database cannot be reached.
pub async fn status(url: &str) -> Result<Vec<Step>, Error> {
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

/// One connection, so that the advisory lock and the migrations share a session.
async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.create_if_missing(true));
    Database::connect(options).await
}
