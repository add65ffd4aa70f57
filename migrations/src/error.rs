//! Errors of migrations.

use std::path::PathBuf;

use sea_orm_migration::sea_orm::DbErr;

/// Why the schema is not up to date, or its state is unknown. Each message is complete, and contains the
/// message of the database exactly once.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// There is no database file at this path; reading the status does not create one.
    #[error(
        "there is no {}: run this where cloakroom.toml is, or set CLOAKROOM__DATA_DIR; \
         for a new database run `cloakroom migrate up`", .0.display()
    )]
    Missing(PathBuf),
    /// The database could not be opened, for this reason. The caller adds the address, without its
    /// password.
    #[error("{0}")]
    Unreachable(String),
    /// The database refused a statement. Holds the database's own message.
    #[error("the records' schema could not be brought up to date: {0}")]
    Database(String),
    /// The database has this encoding, which is not UTF-8.
    #[error(
        "the records' database has the encoding {0} and must have UTF8, because names may contain any character: create \
         another one by `CREATE DATABASE … ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0` and set records.url to it"
    )]
    UnsupportedEncoding(String),
}

impl From<DbErr> for MigrationError {
    fn from(error: DbErr) -> Self {
        Self::Database(error.to_string())
    }
}
