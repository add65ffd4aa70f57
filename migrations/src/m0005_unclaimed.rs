//! An index of unclaimed uploads only, by the time at which they expire. The index before had every upload that was
//! ever to expire, also claimed and expired ones, and the sweeper walked all of them every few seconds.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        // The state is a column of the index and no condition, because SQLite cannot see that a bound parameter meets
        // a condition.
        let unclaimed = "CREATE INDEX ix_uploads_unclaimed ON uploads (state, expires_at) WHERE claimed_at IS NULL";
        db.execute_unprepared(unclaimed).await?;
        db.execute_unprepared("DROP INDEX ix_uploads_expires").await?;
        Ok(())
    }
}
