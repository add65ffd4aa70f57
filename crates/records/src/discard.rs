//! Discards uploads: their blobs, jobs and variants, and their share of the usage. Expiry and every deletion of an upload
//! end with these steps, in the transaction that changes the state of the upload.
//!
//! Only the records are changed here. Blobs are deleted by the sweeper, from the deletion queue. Staged bytes are not in
//! that queue: the caller deletes them after the commit, or the sweeper finds them as orphans.

use std::collections::HashMap;

use domain::{Event, EventKind, JobId, JobState, ReasonCode, UploadId, UploadState, blob_keys};
use sea_orm::sea_query::{Expr, Func};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::convert;
use crate::entity::{jobs, uploads, variants};
use crate::error::RecordsError;
use crate::usage::UsageDeltas;
use crate::write_tx::WriteTx;

/// Uploads that a transaction has discarded, and what is to be done beside the records after its commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiscardedUploads {
    /// The uploads.
    pub uploads: Vec<UploadId>,
    /// The queued jobs that were cancelled. Clients may wait for their outcomes.
    pub cancelled_jobs: Vec<JobId>,
    /// The keys of staged bytes that no upload needs any more.
    pub staged_keys: Vec<String>,
}

/// Why uploads are discarded, and when.
#[derive(Clone, Debug)]
pub(crate) struct Discard<'a> {
    pub(crate) event: EventKind,
    /// The detail of the event.
    pub(crate) detail: &'a str,
    /// The reason in the deletion queue.
    pub(crate) deletion_reason: &'a str,
    pub(crate) now: i64,
}

/// The most uploads whose ids are in one statement, because databases limit the parameters of a statement.
pub(crate) const STATEMENT_BATCH: usize = 500;

impl WriteTx {
    /// Ends uploads as deleted and discards them. This transaction has locked the rows, and `rows` have the state from
    /// before. Clients are told `message`. `detail` is that of the event, and says who deleted the upload.
    pub(crate) async fn delete_uploads(
        &self,
        rows: &[uploads::Model],
        message: &str,
        detail: &str,
        now: i64,
    ) -> Result<DiscardedUploads, RecordsError> {
        let discard = Discard { event: EventKind::Deleted, detail, deletion_reason: "deleted", now };
        for batch in rows.chunks(STATEMENT_BATCH) {
            let settled_at = [Expr::col(uploads::Column::SettledAt), Expr::value(now)];
            uploads::Entity::update_many()
                .col_expr(uploads::Column::State, Expr::value(UploadState::Expired.as_str()))
                .col_expr(uploads::Column::SettledAt, Func::coalesce(settled_at).into())
                .col_expr(uploads::Column::ReasonCode, Expr::value(ReasonCode::Deleted.as_str()))
                .col_expr(uploads::Column::ReasonMessage, Expr::value(message))
                .filter(uploads::Column::Id.is_in(batch.iter().map(|row| row.id)))
                .exec(&self.tx)
                .await?;
        }
        let is_in =
            |row: &uploads::Model, states: [UploadState; 2]| states.iter().any(|state| row.state == state.as_str());
        // The counters have the bytes of uploads in these two states.
        let counted =
            |row: &uploads::Model| if is_in(row, [UploadState::Accepted, UploadState::Ready]) { row.bytes } else { 0 };
        let mut discarded = self.discard(rows, counted, discard).await?;
        let staged = rows.iter().filter(|row| is_in(row, [UploadState::Accepted, UploadState::Failed]));
        discarded.staged_keys = staged.map(|row| row.staged_key.clone()).collect();
        Ok(discarded)
    }

    /// Schedules the deletion of the blobs of uploads that this transaction has ended, deletes their jobs and variants,
    /// and records an event for each. `counted_bytes` is what the counter of the owner has of an upload. Counters are
    /// changed last, as `usage` demands, so nothing that another transaction could lock may follow.
    pub(crate) async fn discard(
        &self,
        rows: &[uploads::Model],
        counted_bytes: impl Fn(&uploads::Model) -> i64,
        discard: Discard<'_>,
    ) -> Result<DiscardedUploads, RecordsError> {
        let Discard { event, detail, deletion_reason, now } = discard;
        let mut discarded = DiscardedUploads::default();
        let mut changes = UsageDeltas::default();
        for batch in rows.chunks(STATEMENT_BATCH) {
            for row in batch {
                let id = convert::upload_id(row.id)?;
                self.schedule_deletion(Some(row.id), &blob_keys::upload_prefix(id), deletion_reason, now).await?;
                self.record_events(id, [Event::new(convert::timestamp(now), event.clone(), detail)]).await?;
                changes.add_bytes(&row.owner, -counted_bytes(row));
                discarded.uploads.push(id);
            }
            let owners: HashMap<i64, &str> = batch.iter().map(|row| (row.id, row.owner.as_str())).collect();
            let ids = || batch.iter().map(|row| row.id);
            let ended = jobs::Entity::delete_many().filter(jobs::Column::UploadId.is_in(ids()));
            for job in ended.exec_with_returning(&self.tx).await? {
                // A worker may still be running an attempt.
                self.schedule_attempt_deletions(&job, None, None, now).await?;
                if job.state == JobState::Queued.as_str() {
                    changes.job_left_queue(&job);
                    discarded.cancelled_jobs.push(job.id);
                }
            }
            let made = variants::Entity::delete_many().filter(variants::Column::UploadId.is_in(ids()));
            for variant in made.exec_with_returning(&self.tx).await? {
                let owner = owners.get(&variant.upload_id).copied().unwrap_or_default();
                changes.add_bytes(owner, -variant.bytes.unwrap_or_default());
            }
        }
        self.apply_usage(changes).await?;
        Ok(discarded)
    }
}
