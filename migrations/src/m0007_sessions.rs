//! Sessions as rows, so that they can be revoked and have an absolute end. Signing keys are deleted once nothing they
//! signed is valid any more.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(sessions()).await?;
        let db = manager.get_connection();
        for statement in STATEMENTS {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }
}

/// One row for each login and each issued bearer token. A row counts only while its epoch is its user's: raising the
/// user's epoch ends all of the user's sessions with one statement.
fn sessions() -> TableCreateStatement {
    Table::create()
        .table("sessions")
        .col(uuid("id").primary_key())
        .col(string("user_id"))
        .col(big_integer("epoch"))
        .col(big_integer("created_at"))
        .col(big_integer("ends_at"))
        .to_owned()
}

/// A key is needed at least until `needed_until`, which is when the last issued bearer token that it signed expires.
const STATEMENTS: [&str; 3] = [
    "CREATE INDEX ix_sessions_ends_at ON sessions (ends_at)",
    "ALTER TABLE users ADD COLUMN session_epoch BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE signing_keys ADD COLUMN needed_until BIGINT NOT NULL DEFAULT 0",
];
