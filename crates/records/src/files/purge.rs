//! Purges deleted files whose grace period is over: their bytes go to the deletion queue and their rows are deleted. The
//! rows of their uploads stay as the history.
//!
//! A purge begins with a lease on the row of the file, which a restoration respects. Then each step is one transaction
//! about one version with its renditions, so that the cost of a step does not grow with the number of versions. A sweeper
//! that dies between two steps leaves a file that the next one takes up when the lease is over.

use std::time::Duration;

use domain::{FileId, UploadState};
use sea_orm::sea_query::{Expr, LockBehavior, LockType, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::convert::millis;
use crate::discard::{DiscardedUploads, STATEMENT_BATCH};
use crate::entity::{applinks, file_grants, file_versions, files, public_links, renditions, uploads};
use crate::error::RecordsError;
use crate::records::Records;
use crate::write::TxEnd;
use crate::write_tx::WriteTx;

/// The lease of a purge. If the file is not purged by then, another sweeper may take it.
const PURGE_LEASE: Duration = Duration::from_secs(600);

/// What clients are told about an upload whose file was deleted.
const FILE_DELETED: &str = "the file was deleted";

/// The result of one step of a purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurgeStep {
    /// One version was purged, with these uploads. There may be more.
    Version(DiscardedUploads),
    /// No version was left, and the file does not exist any more.
    Done,
}

impl Records {
    /// Leases up to `limit` deleted files whose grace period is over.
    ///
    /// # Errors
    /// Any database error.
    pub async fn lease_due_purges(&self, limit: u64) -> Result<Vec<FileId>, RecordsError> {
        self.write_statement("lease_due_purges", async |db| {
            let now = self.now_ms();
            let free = Condition::any()
                .add(files::Column::PurgeLeasedUntil.is_null())
                .add(files::Column::PurgeLeasedUntil.lte(now));
            let due = Condition::all().add(files::Column::PurgeAt.lte(now)).add(free);
            let batch = Query::select()
                .column(files::Column::Id)
                .from(files::Entity)
                .cond_where(due.clone())
                .order_by(files::Column::PurgeAt, sea_orm::Order::Asc)
                .limit(limit)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .to_owned();
            let leased = files::Entity::update_many()
                .col_expr(files::Column::PurgeLeasedUntil, Expr::value(now + millis(PURGE_LEASE)))
                .filter(files::Column::Id.in_subquery(batch))
                .filter(due)
                .exec_with_returning(db)
                .await?;
            let id = |row: files::Model| {
                row.id.parse().map_err(|error| RecordsError::CorruptRow(format!("file {}: {error}", row.id)))
            };
            leased.into_iter().map(id).collect()
        })
        .await
    }

    /// Purges the next version of a leased file; the file itself if no version is left.
    ///
    /// # Errors
    /// Any database error; then the step changed nothing.
    pub async fn purge_file(&self, file: &FileId) -> Result<PurgeStep, RecordsError> {
        self.write("purge_file", async |tx| {
            let now = self.now_ms();
            let row = files::Entity::find_by_id(file.as_str()).one(&tx.tx).await?;
            let Some(row) = row.filter(|row| row.purge_leased_until.is_some()) else {
                return Ok(TxEnd::Rollback(PurgeStep::Done));
            };
            let next = file_versions::Entity::find()
                .filter(file_versions::Column::FileId.eq(file.as_str()))
                .order_by_asc(file_versions::Column::Number);
            let Some(version) = next.one(&tx.tx).await? else {
                tx.delete_file_rows(file.as_str()).await?;
                return Ok(TxEnd::Commit(PurgeStep::Done));
            };
            let by = row.deleted_by.unwrap_or_default();
            let discarded = tx.purge_version(&version, &format!("with file {file} by {by}"), now).await?;
            Ok(TxEnd::Commit(PurgeStep::Version(discarded)))
        })
        .await
    }
}

impl WriteTx {
    /// Deletes the rows of a version and of its renditions, and discards their uploads.
    async fn purge_version(
        &self,
        version: &file_versions::Model,
        detail: &str,
        now: i64,
    ) -> Result<DiscardedUploads, RecordsError> {
        let beside = renditions::Entity::find().filter(renditions::Column::VersionId.eq(version.id));
        let beside =
            beside.select_only().column(renditions::Column::UploadId).into_tuple::<i64>().all(&self.tx).await?;
        let mut ids: Vec<i64> = version.upload_id.into_iter().chain(beside).collect();
        ids.sort_unstable();
        // The uploads are locked first, and always in the same order, as by every transaction that ends an upload.
        let mut theirs = Vec::new();
        for batch in ids.chunks(STATEMENT_BATCH) {
            let batch = uploads::Entity::find()
                .filter(uploads::Column::Id.is_in(batch.iter().copied()))
                .filter(uploads::Column::State.ne(UploadState::Expired.as_str()))
                .order_by_asc(uploads::Column::Id)
                .lock_exclusive();
            theirs.extend(batch.all(&self.tx).await?);
        }
        file_versions::Entity::delete_by_id(version.id).exec(&self.tx).await?;
        renditions::Entity::delete_many().filter(renditions::Column::VersionId.eq(version.id)).exec(&self.tx).await?;
        self.delete_uploads(&theirs, FILE_DELETED, detail, now).await
    }

    /// Deletes the row of a file, its grants and its links.
    async fn delete_file_rows(&self, file: &str) -> Result<(), RecordsError> {
        file_grants::Entity::delete_many().filter(file_grants::Column::FileId.eq(file)).exec(&self.tx).await?;
        applinks::Entity::delete_many().filter(applinks::Column::FileId.eq(file)).exec(&self.tx).await?;
        public_links::Entity::delete_many().filter(public_links::Column::FileId.eq(file)).exec(&self.tx).await?;
        files::Entity::delete_by_id(file).exec(&self.tx).await?;
        Ok(())
    }
}
