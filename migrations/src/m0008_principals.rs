//! Counters of each principal's jobs in flight and stored bytes, and the queue and the principal of each job in its
//! row.
//!
//! An older process writes jobs without a queue and a principal. They are in the queue of their kind, and are not
//! counted.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [string("queue").default("").to_owned(), string("principal").default("").to_owned()] {
            manager.alter_table(Table::alter().table("jobs").add_column(column).to_owned()).await?;
        }
        // Milliseconds that rendering the picture takes, as estimated from its header.
        let estimate = Table::alter().table("uploads").add_column(big_integer("estimate").default(0)).to_owned();
        manager.alter_table(estimate).await?;
        let principals = Table::create()
            .table("principals")
            .col(string("id").primary_key())
            .col(big_integer("uploads").default(0))
            .col(big_integer("variants").default(0))
            .col(big_integer("bytes").default(0))
            .to_owned();
        manager.create_table(principals).await?;
        let db = manager.get_connection();
        for filled in BACKFILL {
            db.execute_unprepared(filled).await?;
        }
        Ok(())
    }
}

/// A sum of BIGINTs is a NUMERIC in PostgreSQL.
const BACKFILL: [&str; 4] = [
    "UPDATE jobs SET principal = COALESCE((SELECT owner FROM uploads WHERE uploads.id = jobs.upload_id), '')",
    "INSERT INTO principals (id, bytes) SELECT owner, CAST(SUM(bytes) AS BIGINT) FROM uploads
     WHERE state IN ('accepted', 'ready') GROUP BY owner",
    "UPDATE principals SET bytes = bytes + COALESCE((SELECT CAST(SUM(variants.bytes) AS BIGINT) FROM variants
     JOIN uploads ON uploads.id = variants.upload_id WHERE uploads.owner = principals.id), 0)",
    "UPDATE principals SET
     uploads = (SELECT COUNT(*) FROM jobs WHERE principal = principals.id AND state = 'queued' AND kind LIKE '%.process.%'),
     variants = (SELECT COUNT(*) FROM jobs WHERE principal = principals.id AND state = 'queued' AND kind NOT LIKE '%.process.%')",
];
