//! Where a job's attempts may have written blobs: in the job's own row, which every attempt writes to anyway. Before, it was
//! a row of the ledger for every attempt, most of which were struck off again at once.

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
