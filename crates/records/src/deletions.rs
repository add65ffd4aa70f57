//! The deletion queue: prefixes of blobs to delete.
//!
//! Blobs are deleted only if they are in this queue. They are deleted by the sweeper alone, after a row recorded that
//! they are not needed.

use std::time::Duration;

use domain::{UploadId, ordered_id};
use sea_orm::sea_query::{Expr, LockBehavior, LockType, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, Set};
use uuid::Uuid;

use crate::convert;
use crate::convert::millis;
use crate::entity::{deletions, jobs};
use crate::error::RecordsError;
use crate::records::Records;
use crate::write_tx::WriteTx;

/// A blob prefix whose deletion the caller has leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobDeletion {
    id: Uuid,
    /// The upload that the bytes belonged to, if they belonged to one.
    pub upload: Option<UploadId>,
    /// All blobs whose key begins with this are deleted.
    pub prefix: String,
    /// The reason.
    pub reason: String,
}

/// How long a deletion is leased. If the deletion is not completed by then, another sweeper may take it.
const DELETION_LEASE: Duration = Duration::from_secs(600);

/// How long an attempt's blobs stay after its job has ended without the result of this attempt,
/// because the attempt may still be writing.
const ATTEMPT_GRACE: Duration = Duration::from_secs(3600);

impl Records {
    /// Leases up to `limit` due deletions.
    ///
    /// # Errors
    /// Any database error.
    pub async fn take_due_deletions(&self, limit: u64) -> Result<Vec<BlobDeletion>, RecordsError> {
        self.write_statement("take_due_deletions", async |db| {
            let now = self.now_ms();
            let free = Condition::any()
                .add(deletions::Column::LeasedUntil.is_null())
                .add(deletions::Column::LeasedUntil.lte(now));
            let due = Condition::all().add(deletions::Column::DueAt.lte(now)).add(free);
            let batch = Query::select()
                .column(deletions::Column::Id)
                .from(deletions::Entity)
                .cond_where(due.clone())
                .order_by(deletions::Column::DueAt, sea_orm::Order::Asc)
                .limit(limit)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .to_owned();
            let taken = deletions::Entity::update_many()
                .col_expr(deletions::Column::LeasedUntil, Expr::value(now + millis(DELETION_LEASE)))
                .filter(deletions::Column::Id.in_subquery(batch))
                .filter(due)
                .exec_with_returning(db)
                .await?;
            taken
                .into_iter()
                .map(|row| {
                    Ok(BlobDeletion {
                        id: row.id,
                        upload: row.upload_id.map(convert::upload_id).transpose()?,
                        prefix: row.blob_prefix,
                        reason: row.reason,
                    })
                })
                .collect()
        })
        .await
    }

    /// Removes a completed deletion from the queue.
    ///
    /// # Errors
    /// Any database error; then the blobs are deleted once more, which does no harm.
    pub async fn complete_deletion(&self, deletion: &BlobDeletion) -> Result<(), RecordsError> {
        self.write_statement("complete_deletion", async |db| {
            deletions::Entity::delete_by_id(deletion.id).exec(db).await?;
            Ok(())
        })
        .await
    }
}

impl WriteTx {
    /// Schedules the deletion of everything under a prefix, at `due_at` or later.
    pub(crate) async fn schedule_deletion(
        &self,
        upload: Option<i64>,
        prefix: &str,
        reason: &str,
        due_at: i64,
    ) -> Result<(), RecordsError> {
        let row = deletions::ActiveModel {
            id: Set(ordered_id()),
            upload_id: Set(upload),
            blob_prefix: Set(prefix.to_owned()),
            reason: Set(reason.to_owned()),
            due_at: Set(due_at),
            leased_until: Set(None),
        };
        deletions::Entity::insert(row).exec_without_returning(&self.tx).await?;
        Ok(())
    }

    /// Schedules the deletion of what the attempts at a job may have written, except what is under
    /// `settled_prefix`. Blobs under `ended_prefix` are due at once. The others are due when no
    /// attempt can be writing them any more.
    pub(crate) async fn schedule_attempt_deletions(
        &self,
        job: &jobs::Model,
        settled_prefix: Option<&str>,
        ended_prefix: Option<&str>,
        now: i64,
    ) -> Result<(), RecordsError> {
        for prefix in job.blob_prefixes.split_whitespace().filter(|prefix| Some(*prefix) != settled_prefix) {
            let due_at = if Some(prefix) == ended_prefix { now } else { now + millis(ATTEMPT_GRACE) };
            self.schedule_deletion(job.upload_id, prefix, "an attempt that was not settled", due_at).await?;
        }
        Ok(())
    }
}
