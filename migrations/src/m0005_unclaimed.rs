//! What nobody has claimed, by the time at which it expires, and nothing else. The index before had every upload that was
//! ever to expire, claimed and expired ones too, and the sweeper walked all of them every few seconds.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        // The state is a column of it and no condition: SQLite cannot see that a bound parameter meets one.
        let unclaimed = "CREATE INDEX ix_uploads_unclaimed ON uploads (state, expires_at) WHERE claimed_at IS NULL";
        db.execute_unprepared(unclaimed).await?;
        db.execute_unprepared("DROP INDEX ix_uploads_expires").await?;
        Ok(())
    }
}
