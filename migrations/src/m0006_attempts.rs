//! Columns of jobs:
//!
//! - when the message is published again;
//! - which publish a confirmation belongs to;
//! - which attempts do not count against the limit, because a backend failed and not the picture.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One statement for each column, because SQLite adds only one at a time. The defaults are right for rows that a
        // process of the previous release inserts.
        let columns: [ColumnDef; 8] = [
            // The number of publishes. A confirmation names the publish that it belongs to.
            integer("publishes").default(0).take(),
            // When the sweeper publishes the job again unless something happens to the job before that.
            big_integer("republish_at").default(0).take(),
            // Milliseconds that a confirmed message may wait in the queue before it is published again; doubled by
            // every publish of the sweeper.
            big_integer("republish_after").default(60_000).take(),
            // How many of the attempts do not count against the limit.
            integer("uncounted").default(0).take(),
            // The number of the last attempt that does not count, so that none is subtracted twice.
            integer("last_uncounted").default(0).take(),
            // How often in a row a backend postponed the job: the pause grows with it.
            integer("postponed").default(0).take(),
            // The backend whose failure postponed the job last.
            string_null("waits_for"),
            // When a job without an upload's deadline is given up.
            big_integer_null("give_up_at"),
        ];
        for column in columns {
            let add = Table::alter().table("jobs").add_column(column).to_owned();
            manager.alter_table(add).await?;
        }
        let db = manager.get_connection();
        for statement in [
            "UPDATE jobs SET republish_at = COALESCE(leased_until, COALESCE(published_at, run_at) + 60000)",
            // The state is a column of the index and no condition, because SQLite cannot see that a bound parameter
            // meets a condition.
            "CREATE INDEX ix_jobs_republish ON jobs (state, republish_at)",
            "CREATE INDEX ix_jobs_give_up ON jobs (give_up_at) WHERE give_up_at IS NOT NULL",
            "DROP INDEX ix_jobs_unpublished",
            "DROP INDEX ix_jobs_leased",
            "DROP INDEX ix_jobs_published",
        ] {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
