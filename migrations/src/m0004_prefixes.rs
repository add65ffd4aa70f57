//! Stores the prefixes under which a job's attempts may have written blobs in the job's own row, which every attempt
//! writes to anyway. Before, every attempt inserted a row into the deletion queue, and most of these rows were
//! removed again at once.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let prefixes = Table::alter().table("jobs").add_column(text("prefixes").default("")).to_owned();
        manager.alter_table(prefixes).await
    }
}
