//! The first schema: all tables and their indexes.
//!
//! - Times are milliseconds since 1970 in a BIGINT, which gives the same order and precision on SQLite and PostgreSQL.
//! - Partial indexes serve the sweeper's queries, so that a large number of settled uploads
//!   does not slow the sweeper down.

mod access;
mod files;
mod table;
mod uploads;

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = uploads::tables().into_iter().chain(files::tables()).chain(access::tables());
        for table in tables {
            manager.create_table(table).await?;
        }
        let db = manager.get_connection();
        let indexes = uploads::INDEXES.iter().chain(&files::INDEXES).chain(&access::INDEXES);
        for index in indexes {
            db.execute_unprepared(index).await?;
        }
        db.execute_unprepared(uploads::first_upload_id(manager.get_database_backend())).await?;
        Ok(())
    }
}
