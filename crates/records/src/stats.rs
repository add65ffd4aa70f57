//! Counts of uploads by state, and of outstanding work.

use std::collections::HashMap;

use domain::{JobState, UploadState};
use jiff::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::convert;
use crate::entity::{deletions, jobs, uploads};
use crate::error::RecordsError;
use crate::records::Records;

/// Counts of uploads by state, and of outstanding work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadStats {
    /// All uploads ever admitted.
    pub admitted: u64,
    /// The number of uploads in each state. Accepted uploads still wait for their outcome.
    pub states: HashMap<UploadState, u64>,
    /// Jobs in the state `queued`, including those that a worker has leased.
    pub queued_jobs: u64,
    /// Dead jobs.
    pub dead_jobs: u64,
    /// Prefixes of blobs waiting to be deleted.
    pub pending_deletions: u64,
    /// Uploads that a queued job is to settle.
    pub in_flight: u64,
    /// Queued jobs that have not been published.
    pub unpublished: u64,
    /// When the oldest queued job was enqueued.
    pub oldest_queued_at: Option<Timestamp>,
    /// Bytes of uploads that wait or have failed. The staged bytes of such an upload may still be
    /// needed.
    pub staged_bytes: u64,
}

impl UploadStats {
    /// The number of uploads in a state.
    pub fn in_state(&self, state: UploadState) -> u64 {
        self.states.get(&state).copied().unwrap_or_default()
    }

    /// Admitted uploads, less those in each final state, less those that a job is to settle. A result other than 0
    /// means that an upload was lost or duplicated.
    pub fn unaccounted(&self) -> i64 {
        let ends = [UploadState::Ready, UploadState::Rejected, UploadState::Failed, UploadState::Expired]
            .map(|state| self.in_state(state));
        let accounted = ends.iter().sum::<u64>() + self.in_flight;
        i64::try_from(self.admitted).unwrap_or(i64::MAX) - i64::try_from(accounted).unwrap_or(i64::MAX)
    }
}

impl Records {
    /// Counts uploads, jobs and deletions. This reads whole indexes, so it should be called seldom.
    ///
    /// # Errors
    /// Any database error.
    pub async fn stats(&self) -> Result<UploadStats, RecordsError> {
        // One snapshot for all counts, because an upload that changes between two counts would look lost.
        let tx = self.db.begin_snapshot().await?;
        let counted: Vec<(String, i64)> = uploads::Entity::find()
            .select_only()
            .column(uploads::Column::State)
            .column_as(uploads::Column::Id.count(), "uploads")
            .group_by(uploads::Column::State)
            .into_tuple()
            .all(&tx)
            .await?;
        let mut stats = UploadStats::default();
        for (state, uploads) in counted {
            let uploads = u64::try_from(uploads).unwrap_or_default();
            stats.admitted += uploads;
            stats.states.insert(state.parse()?, uploads);
        }
        let queued = jobs::Entity::find().filter(jobs::Column::State.eq(JobState::Queued.as_str()));
        stats.queued_jobs = queued.clone().count(&tx).await?;
        stats.in_flight = queued.clone().filter(jobs::Column::SettlesUpload.eq(true)).count(&tx).await?;
        stats.unpublished = queued.clone().filter(jobs::Column::PublishedAt.is_null()).count(&tx).await?;
        let oldest = queued.order_by_asc(jobs::Column::CreatedAt).one(&tx).await?;
        stats.oldest_queued_at = oldest.map(|job| convert::timestamp(job.created_at));
        stats.dead_jobs =
            jobs::Entity::find().filter(jobs::Column::State.eq(JobState::Dead.as_str())).count(&tx).await?;
        stats.pending_deletions = deletions::Entity::find().count(&tx).await?;
        let staged: Option<(Option<i64>,)> = uploads::Entity::find()
            .select_only()
            .column_as(Expr::col(uploads::Column::Bytes).sum().cast_as("BIGINT"), "staged")
            .filter(uploads::Column::State.is_in([UploadState::Accepted.as_str(), UploadState::Failed.as_str()]))
            .into_tuple()
            .one(&tx)
            .await?;
        let staged = staged.and_then(|(bytes,)| bytes).unwrap_or_default();
        stats.staged_bytes = u64::try_from(staged).unwrap_or_default();
        tx.commit().await?;
        Ok(stats)
    }
}
