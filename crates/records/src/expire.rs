//! Expiry of uploads that were not claimed in time, and failure of uploads that were not settled in time.
//!
//! A batch is one statement that selects and changes, so that several sweepers share the work and none waits for
//! another.

use std::collections::{BTreeMap, HashMap};

use domain::{Backend, Event, EventKind, Job, JobId, JobState, Reason, ReasonCode, UploadId, UploadKind, UploadState};
use sea_orm::sea_query::{Expr, LockBehavior, LockType, Query, SelectStatement};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};

use crate::convert;
use crate::discard::Discard;
use crate::entity::{jobs, uploads, variants};
use crate::error::RecordsError;
use crate::records::Records;
use crate::usage::UsageDeltas;
use crate::write::TxEnd;

/// What clients are told about an expired upload.
const NOT_CLAIMED: &str = "the picture was not claimed in time; upload it again";

impl Records {
    /// Expires up to `limit` unclaimed uploads whose time is over, and schedules the deletion of their bytes. Returns
    /// them.
    ///
    /// # Errors
    /// Any database error; then none of the batch has expired.
    pub async fn expire(&self, limit: u64) -> Result<Vec<UploadId>, RecordsError> {
        self.write("expire", async |tx| {
            let now = self.now_ms();
            let unclaimed = Condition::all()
                .add(uploads::Column::ExpiresAt.lte(now))
                .add(uploads::Column::ClaimedAt.is_null())
                .add(uploads::Column::State.is_in([UploadState::Accepted.as_str(), UploadState::Ready.as_str()]));
            let expired = uploads::Entity::update_many()
                .col_expr(uploads::Column::State, Expr::value(UploadState::Expired.as_str()))
                .col_expr(uploads::Column::SettledAt, Expr::value(now))
                .col_expr(uploads::Column::ReasonCode, Expr::value(ReasonCode::Unclaimed.as_str()))
                .col_expr(uploads::Column::ReasonMessage, Expr::value(NOT_CLAIMED))
                .filter(uploads::Column::Id.in_subquery(batch(uploads::Column::ExpiresAt, unclaimed.clone(), limit)))
                .filter(unclaimed)
                .exec_with_returning(&tx.tx)
                .await?;
            let discard = Discard { event: EventKind::Expired, detail: NOT_CLAIMED, deletion_reason: "unclaimed", now };
            // All of them were waiting or ready, so the bytes of all are counted.
            Ok(TxEnd::Commit(tx.discard(&expired, |row| row.bytes, discard).await?.uploads))
        })
        .await
    }

    /// Settles as failed up to `limit` uploads that still wait past their deadline, and marks their jobs dead. A dead
    /// job keeps its last error. Returns the uploads and jobs, with the reason to notify their waiters of.
    ///
    /// # Errors
    /// Any database error; then none of the batch has been settled.
    pub async fn fail_overdue(&self, limit: u64) -> Result<Vec<(UploadId, JobId, Reason)>, RecordsError> {
        self.write("fail_overdue", async |tx| {
            let now = self.now_ms();
            let overdue = Condition::all()
                .add(uploads::Column::Deadline.lte(now))
                .add(uploads::Column::State.eq(UploadState::Accepted.as_str()));
            let reason = OverdueTexts::UPLOAD.reason(None);
            let failed = uploads::Entity::update_many()
                .col_expr(uploads::Column::State, Expr::value(UploadState::Failed.as_str()))
                .col_expr(uploads::Column::SettledAt, Expr::value(now))
                .col_expr(uploads::Column::ReasonCode, Expr::value(reason.code.as_str()))
                .col_expr(uploads::Column::ReasonMessage, Expr::value(reason.message.as_str()))
                .filter(uploads::Column::Id.in_subquery(batch(uploads::Column::Deadline, overdue.clone(), limit)))
                .filter(overdue)
                .exec_with_returning(&tx.tx)
                .await?;
            let ids: Vec<i64> = failed.iter().map(|row| row.id).collect();
            let placed = failed.iter().filter(|row| row.kind != UploadKind::Dropbox.as_str()).map(|row| row.id);
            tx.release_targets(&placed.collect::<Vec<_>>(), now).await?;
            let dead_jobs = jobs::Entity::update_many()
                .col_expr(jobs::Column::State, Expr::value(JobState::Dead.as_str()))
                .col_expr(jobs::Column::LeasedUntil, Expr::value(Option::<i64>::None))
                .filter(jobs::Column::UploadId.is_in(ids))
                .filter(jobs::Column::State.eq(JobState::Queued.as_str()))
                .exec_with_returning(&tx.tx)
                .await?;
            let mut notices = Vec::with_capacity(dead_jobs.len());
            let mut by_backend: BTreeMap<&'static str, (Reason, Vec<i64>)> = BTreeMap::new();
            let mut changes = UsageDeltas::default();
            let sent: HashMap<i64, i64> = failed.iter().map(|row| (row.id, row.bytes)).collect();
            for job in dead_jobs {
                changes.job_left_queue(&job);
                tx.schedule_attempt_deletions(&job, None, None, now).await?;
                let Some(id) = convert::job_upload(&job)? else { continue };
                changes.add_bytes(&job.principal, -sent.get(&id.get()).copied().unwrap_or_default());
                let failing = failing_backend(&job);
                let reason = OverdueTexts::UPLOAD.reason(failing);
                if let Some(failing) = failing {
                    by_backend.entry(failing.as_str()).or_insert_with(|| (reason.clone(), Vec::new())).1.push(id.get());
                }
                let detail =
                    job.last_error.map_or_else(|| reason.message.clone(), |error| format!("last error: {error}"));
                tx.record_events(id, [Event::new(convert::timestamp(now), EventKind::DeadlinePassed, detail)]).await?;
                notices.push((id, job.id, reason));
            }
            for (reason, uploads) in by_backend.into_values() {
                uploads::Entity::update_many()
                    .col_expr(uploads::Column::ReasonMessage, Expr::value(reason.message))
                    .filter(uploads::Column::Id.is_in(uploads))
                    .exec(&tx.tx)
                    .await?;
            }
            tx.apply_usage(changes).await?;
            Ok(TxEnd::Commit(notices))
        })
        .await
    }

    /// Gives up at most `limit` jobs about ready uploads, if the jobs have taken too long. If the
    /// job was to make a variant, the next request for the size enqueues a new one. Returns the
    /// uploads and jobs, with the reason to notify their waiters of.
    ///
    /// # Errors
    /// Any database error; then none of the batch has been given up.
    pub async fn fail_overdue_variants(&self, limit: u64) -> Result<Vec<(UploadId, JobId, Reason)>, RecordsError> {
        self.write("fail_overdue_variants", async |tx| {
            let now = self.now_ms();
            let overdue = Condition::all()
                .add(jobs::Column::ExpiresAt.lte(now))
                .add(jobs::Column::State.eq(JobState::Queued.as_str()));
            let batch = Query::select()
                .column(jobs::Column::Id)
                .from(jobs::Entity)
                .cond_where(overdue.clone())
                .order_by(jobs::Column::ExpiresAt, sea_orm::Order::Asc)
                .limit(limit)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .to_owned();
            let given_up = jobs::Entity::delete_many()
                .filter(jobs::Column::Id.in_subquery(batch))
                .filter(overdue)
                .exec_with_returning(&tx.tx)
                .await?;
            let mut notices = Vec::with_capacity(given_up.len());
            let mut changes = UsageDeltas::default();
            for job in given_up {
                changes.job_left_queue(&job);
                // A worker may still be running an attempt.
                tx.schedule_attempt_deletions(&job, None, None, now).await?;
                // No client waits for a job that is not about an upload.
                let Some(id) = convert::job_upload(&job)? else { continue };
                let variants = variants::Entity::delete_many()
                    .filter(variants::Column::UploadId.eq(id.get()))
                    .filter(variants::Column::JobId.eq(job.id))
                    .filter(variants::Column::BlobKey.is_null())
                    .exec(&tx.tx)
                    .await?;
                let was_variant = variants.rows_affected > 0;
                let kind = if was_variant { EventKind::VariantOverdue } else { EventKind::JobOverdue };
                let reason = OverdueTexts::of(&job).reason(failing_backend(&job));
                let detail =
                    job.last_error.map_or_else(|| reason.message.clone(), |error| format!("last error: {error}"));
                tx.record_events(id, [Event::new(convert::timestamp(now), kind, detail)]).await?;
                notices.push((id, job.id, reason));
            }
            tx.apply_usage(changes).await?;
            Ok(TxEnd::Commit(notices))
        })
        .await
    }
}

/// The backend that kept a job from being done, as far as its row says.
fn failing_backend(job: &jobs::Model) -> Option<Backend> {
    match &job.waiting_for {
        Some(backend) => backend.parse().ok(),
        // No worker has ever leased the job, and the queue has not confirmed a message although the
        // sweeper has sent one.
        None if job.attempts == 0 && job.published_at.is_none() && job.publishes > 0 => Some(Backend::Queue),
        None => None,
    }
}

/// What clients are told about a job that was not done by its deadline.
struct OverdueTexts {
    /// If no backend is known to have failed.
    not_done: &'static str,
    /// If a backend failed, which is named after it.
    not_done_because: &'static str,
    /// What follows from it for the client.
    consequence: &'static str,
}

impl OverdueTexts {
    const UPLOAD: Self = Self {
        not_done: "no worker settled this upload before its deadline",
        not_done_because: "not processed by its deadline",
        consequence: "try again, or ask the operator to",
    };
    const VARIANT: Self = Self {
        not_done: "no worker made this size of the picture before the deadline",
        not_done_because: "this size of the picture was not made by the deadline",
        consequence: "request it again",
    };
    const VERIFICATION: Self = Self {
        not_done: "no worker verified the stored bytes of this upload before the deadline",
        not_done_because: "the stored bytes of this upload were not verified by the deadline",
        consequence: "the upload itself is unchanged",
    };
    /// A job of a kind that this version does not know. Such a job is about an upload that is ready already.
    const UNKNOWN_JOB: Self = Self {
        not_done: "no worker ended a job about this upload before the deadline",
        not_done_because: "a job about this upload was not done by the deadline",
        consequence: "the upload itself is unchanged",
    };

    fn of(job: &jobs::Model) -> Self {
        match convert::job_message(job).map(|message| message.job) {
            Ok(Job::ProcessPicture { .. } | Job::ProcessFile { .. } | Job::ProcessRendition { .. }) => Self::UPLOAD,
            Ok(Job::MakeVariant { .. }) => Self::VARIANT,
            Ok(Job::VerifyUpload { .. }) => Self::VERIFICATION,
            Err(_) => Self::UNKNOWN_JOB,
        }
    }

    fn reason(&self, failing: Option<Backend>) -> Reason {
        let Self { not_done, not_done_because, consequence } = self;
        let message = match failing {
            Some(backend) => format!("{not_done_because}, because {} failed; {consequence}", backend.description()),
            None => format!("{not_done}; {consequence}"),
        };
        Reason::new(ReasonCode::DeadlinePassed, message)
    }
}

/// Selects the ids of the `limit` oldest uploads by `order` that match the condition. Rows that another sweeper has
/// locked are skipped.
fn batch(order: uploads::Column, so: Condition, limit: u64) -> SelectStatement {
    Query::select()
        .column(uploads::Column::Id)
        .from(uploads::Entity)
        .cond_where(so)
        .order_by(order, sea_orm::Order::Asc)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .to_owned()
}
