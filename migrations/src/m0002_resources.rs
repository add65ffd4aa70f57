//! Names of resources: a claim may name the resource it is for.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let resources = Table::create()
            .table("resources")
            .col(string("service"))
            .col(string("resource"))
            .col(text("name"))
            .col(big_integer("created_at"))
            .primary_key(Index::create().col("service").col("resource"))
            .to_owned();
        manager.create_table(resources).await
    }
}
