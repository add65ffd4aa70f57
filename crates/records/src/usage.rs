//! Counters of each principal's jobs in flight and stored bytes. There is one row for each owner of uploads. The
//! transactions that admit, settle, expire, delete, fail and retry uploads change the row of the owner. Reading a
//! counter costs the same whatever the tables hold.
//!
//! Every transaction changes these rows after all other rows that it shares with other transactions, and in the order
//! of their ids. A transaction that has locked one of these rows therefore waits only for a row with a higher id, which
//! prevents deadlocks.

use std::collections::{BTreeMap, BTreeSet};

use domain::{JobMessage, JobState, UploadState};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, OnConflict, SimpleExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, JoinType, PaginatorTrait, QueryFilter, QuerySelect, Set};

use crate::entity::{jobs, uploads, usage_counters, variants};
use crate::error::RecordsError;
use crate::records::Records;
use crate::write::TxEnd;
use crate::write_tx::WriteTx;

/// A principal's jobs in flight and stored bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Uploads that wait for a worker.
    pub uploads: u64,
    /// Variants that wait for a worker.
    pub variants: u64,
    /// Bytes of originals and variants whose deletion is not scheduled.
    pub bytes: u64,
}

impl From<usage_counters::Model> for Usage {
    fn from(row: usage_counters::Model) -> Self {
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        Self {
            uploads: count(row.uploads_in_flight),
            variants: count(row.variants_in_flight),
            bytes: count(row.stored_bytes),
        }
    }
}

impl Records {
    /// The usage of a principal.
    ///
    /// # Errors
    /// Any database error.
    pub async fn usage(&self, principal: &str) -> Result<Usage, RecordsError> {
        let row = usage_counters::Entity::find_by_id(principal).one(&self.db).await?;
        Ok(row.map_or_else(Usage::default, Usage::from))
    }

    /// Counts every principal's usage again and corrects the counters. Returns the principals whose counters were
    /// wrong, for example because rows were changed by hand. It reads all uploads, one principal after the other;
    /// other processes may continue to work.
    ///
    /// # Errors
    /// Any database error; counters corrected by then stay corrected.
    pub async fn recount_usage(&self) -> Result<Vec<String>, RecordsError> {
        let owners = uploads::Entity::find().select_only().column(uploads::Column::Owner).distinct();
        let known = usage_counters::Entity::find().select_only().column(usage_counters::Column::Principal);
        let mut all: BTreeSet<String> = owners.into_tuple().all(&self.db).await?.into_iter().collect();
        all.extend(known.into_tuple::<String>().all(&self.db).await?);
        let mut wrong = Vec::new();
        for owner in all {
            if !self.recount_principal(&owner).await? {
                wrong.push(owner);
            }
        }
        Ok(wrong)
    }

    /// Counts one principal's usage again. Returns whether the counters were right.
    async fn recount_principal(&self, principal: &str) -> Result<bool, RecordsError> {
        self.write("recount_usage", async |tx| {
            // The row is locked before anything is counted. If another transaction has committed
            // its change by then, the change is counted here. If not, that transaction still has to
            // change this row, and it will change the corrected row.
            let stored = tx.apply_usage_delta(principal, UsageDelta::default()).await?;
            let counted = count_usage(&tx.tx, principal).await?;
            if stored == counted {
                return Ok(TxEnd::Rollback(true));
            }
            usage_counters::Entity::update(usage_counters::ActiveModel {
                principal: Set(principal.to_owned()),
                uploads_in_flight: Set(counted.uploads_in_flight),
                variants_in_flight: Set(counted.variants_in_flight),
                stored_bytes: Set(counted.stored_bytes),
            })
            .exec(&tx.tx)
            .await?;
            Ok(TxEnd::Commit(false))
        })
        .await
    }
}

/// Counts a principal's usage from the tables.
async fn count_usage(db: &impl ConnectionTrait, principal: &str) -> Result<usage_counters::Model, RecordsError> {
    let queued = || {
        jobs::Entity::find()
            .filter(jobs::Column::Principal.eq(principal))
            .filter(jobs::Column::State.eq(JobState::Queued.as_str()))
    };
    let settling = jobs::Column::SettlesUpload.eq(true);
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let counted_states = [UploadState::Accepted.as_str(), UploadState::Ready.as_str()];
    let originals: Option<Option<i64>> = uploads::Entity::find()
        .select_only()
        .column_as(sum(uploads::Column::Bytes), "bytes")
        .filter(uploads::Column::Owner.eq(principal))
        .filter(uploads::Column::State.is_in(counted_states))
        .into_tuple()
        .one(db)
        .await?;
    let theirs = variants::Entity::belongs_to(uploads::Entity).from(variants::Column::UploadId).to(uploads::Column::Id);
    let made: Option<Option<i64>> = variants::Entity::find()
        .select_only()
        .column_as(sum(variants::Column::Bytes), "bytes")
        .join(JoinType::InnerJoin, theirs.into())
        .filter(uploads::Column::Owner.eq(principal))
        .into_tuple()
        .one(db)
        .await?;
    Ok(usage_counters::Model {
        principal: principal.to_owned(),
        uploads_in_flight: count(queued().filter(settling.clone()).count(db).await?),
        variants_in_flight: count(queued().filter(settling.not()).count(db).await?),
        stored_bytes: originals.flatten().unwrap_or_default() + made.flatten().unwrap_or_default(),
    })
}

/// Sums a column as a BIGINT, because in PostgreSQL a sum of BIGINTs is a NUMERIC.
fn sum(column: impl ColumnTrait) -> SimpleExpr {
    Func::cast_as(column.sum(), Alias::new("BIGINT")).into()
}

/// A change of one principal's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UsageDelta {
    pub(crate) uploads: i64,
    pub(crate) variants: i64,
    pub(crate) bytes: i64,
}

impl UsageDelta {
    /// A change of the jobs in flight by `more`. `settles` says whether they settle uploads or make variants.
    pub(crate) fn for_jobs(settles: bool, more: i64) -> Self {
        let (uploads, variants) = if settles { (more, 0) } else { (0, more) };
        Self { uploads, variants, bytes: 0 }
    }
}

/// The changes of one transaction, in the order in which they are applied.
#[derive(Debug, Default)]
pub(crate) struct UsageDeltas(BTreeMap<String, UsageDelta>);

impl UsageDeltas {
    /// The changes when a job has ended.
    pub(crate) fn for_ended_job(message: &JobMessage) -> Self {
        let mut changes = Self::default();
        changes.add(&message.principal, UsageDelta::for_jobs(message.job.settles_upload(), -1));
        changes
    }

    /// Adds the change for a job that leaves the queue.
    pub(crate) fn job_left_queue(&mut self, job: &jobs::Model) {
        self.add(&job.principal, UsageDelta::for_jobs(job.settles_upload, -1));
    }

    /// Adds a change of the stored bytes by `more`.
    pub(crate) fn add_bytes(&mut self, principal: &str, more: i64) {
        self.add(principal, UsageDelta { bytes: more, ..UsageDelta::default() });
    }

    /// Adds a change. A job without a principal is not counted.
    pub(crate) fn add(&mut self, principal: &str, change: UsageDelta) {
        if !principal.is_empty() {
            let sum = self.0.entry(principal.to_owned()).or_default();
            sum.uploads += change.uploads;
            sum.variants += change.variants;
            sum.bytes += change.bytes;
        }
    }
}

impl WriteTx {
    /// Applies the changes. This is the last step of a transaction before its commit.
    pub(crate) async fn apply_usage(&self, changes: UsageDeltas) -> Result<(), RecordsError> {
        for (principal, change) in changes.0 {
            if change != UsageDelta::default() {
                self.apply_usage_delta(&principal, change).await?;
            }
        }
        Ok(())
    }

    /// Changes one principal's counters and returns the new values. The row is locked until the transaction ends.
    pub(crate) async fn apply_usage_delta(
        &self,
        principal: &str,
        change: UsageDelta,
    ) -> Result<usage_counters::Model, RecordsError> {
        let row = usage_counters::ActiveModel {
            principal: Set(principal.to_owned()),
            uploads_in_flight: Set(change.uploads),
            variants_in_flight: Set(change.variants),
            stored_bytes: Set(change.bytes),
        };
        let more = |column: usage_counters::Column, by: i64| Expr::col((usage_counters::Entity, column)).add(by);
        let add_to_row = OnConflict::column(usage_counters::Column::Principal)
            .value(
                usage_counters::Column::UploadsInFlight,
                more(usage_counters::Column::UploadsInFlight, change.uploads),
            )
            .value(
                usage_counters::Column::VariantsInFlight,
                more(usage_counters::Column::VariantsInFlight, change.variants),
            )
            .value(usage_counters::Column::StoredBytes, more(usage_counters::Column::StoredBytes, change.bytes))
            .to_owned();
        Ok(usage_counters::Entity::insert(row).on_conflict(add_to_row).exec_with_returning(&self.tx).await?)
    }
}
