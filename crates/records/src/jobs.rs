//! Jobs for operators: lists queued and dead jobs, retries a dead one, discards one.

use std::time::Duration;

use domain::{Event, EventKind, JobId, JobState, QueueName, UploadId, UploadKind, UploadState};
use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;

use crate::convert;
use crate::convert::millis;
use crate::entity::{jobs, uploads, variants};
use crate::error::RecordsError;
use crate::outbox::{self, DueMessage};
use crate::records::Records;
use crate::usage::{UsageDelta, UsageDeltas};
use crate::write::TxEnd;

/// A job as its row stores it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobRow {
    /// Its number.
    pub id: JobId,
    /// Its kind, with the version.
    pub kind: String,
    /// The upload it is about, if it is about one.
    pub upload: Option<UploadId>,
    /// Whether it settles its upload.
    pub settles_upload: bool,
    /// The queue that it is published into.
    pub queue: QueueName,
    /// The user that the job is done for; empty if it is done for none.
    pub principal: String,
    /// Whether it is dead. Otherwise it is queued.
    pub dead: bool,
    /// How often it has been tried, without the attempts that a failing backend ended.
    pub attempts: i32,
    /// How often in a row a failing backend has postponed it.
    pub postponements: i32,
    /// The backend whose failure postponed it last.
    pub waiting_for: Option<String>,
    /// The errors so far, the last one first.
    pub last_error: Option<String>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// The time from which it may run.
    pub run_at: Timestamp,
    /// When the queue confirmed it, or a worker began it; None while the queue does not have it.
    pub published_at: Option<Timestamp>,
    /// When the sweeper publishes it again unless something happens to it before that.
    pub republish_at: Timestamp,
    /// When the worker's lease ends.
    pub leased_until: Option<Timestamp>,
}

impl Records {
    /// Up to `limit` jobs, the oldest first; only the dead ones, or all.
    ///
    /// # Errors
    /// Any database error.
    pub async fn jobs(&self, dead: bool, limit: u64) -> Result<Vec<JobRow>, RecordsError> {
        let mut asked = jobs::Entity::find().order_by_asc(jobs::Column::CreatedAt).limit(limit);
        if dead {
            asked = asked.filter(jobs::Column::State.eq(JobState::Dead.as_str()));
        }
        asked.all(&self.db).await?.into_iter().map(job_row).collect()
    }

    /// One job.
    ///
    /// # Errors
    /// Any database error.
    pub async fn job(&self, id: JobId) -> Result<Option<JobRow>, RecordsError> {
        jobs::Entity::find_by_id(id).one(&self.db).await?.map(job_row).transpose()
    }

    /// The jobs of an upload, queued and dead.
    ///
    /// # Errors
    /// Any database error.
    pub async fn jobs_of(&self, upload: UploadId) -> Result<Vec<JobRow>, RecordsError> {
        let asked = jobs::Entity::find().filter(jobs::Column::UploadId.eq(upload.get()));
        asked.order_by_asc(jobs::Column::CreatedAt).all(&self.db).await?.into_iter().map(job_row).collect()
    }

    /// Enqueues a dead job again, with no attempts counted. An upload that failed with it waits
    /// again, for `deadline` at most. Returns the message to publish. None if no dead job has this
    /// id, if its upload has expired meanwhile, or if another upload has its target.
    ///
    /// # Errors
    /// Any database error; then the job stays dead.
    pub async fn retry_job(&self, id: JobId, deadline: Duration) -> Result<Option<DueMessage>, RecordsError> {
        self.write("retry_job", async |tx| {
            let now = self.now_ms();
            // The upload is locked before the job, as by every transaction that ends an upload.
            let job = jobs::Entity::find_by_id(id).one(&tx.tx).await?;
            if let Some(upload) = job.and_then(|job| job.upload_id) {
                uploads::Entity::find_by_id(upload).lock_exclusive().one(&tx.tx).await?;
            }
            let revived = jobs::Entity::update_many()
                .col_expr(jobs::Column::State, Expr::value(JobState::Queued.as_str()))
                // The attempts so far do not count any more. Their number goes on growing, because it is the fence
                // against a worker that still runs one of them.
                .col_expr(jobs::Column::UncountedAttempts, Expr::col(jobs::Column::Attempts))
                .col_expr(jobs::Column::LastUncountedAttempt, Expr::col(jobs::Column::Attempts))
                .col_expr(jobs::Column::Postponements, Expr::value(0))
                .col_expr(jobs::Column::WaitingFor, Expr::value(Option::<String>::None))
                .col_expr(jobs::Column::RunAt, Expr::value(now))
                .col_expr(jobs::Column::Publishes, outbox::next_publish())
                .col_expr(jobs::Column::RepublishAt, Expr::value(outbox::publish_due_at(now)))
                .col_expr(jobs::Column::RepublishAfterMs, Expr::value(outbox::republish_after(deadline)))
                .col_expr(jobs::Column::PublishedAt, Expr::value(Option::<i64>::None))
                .col_expr(jobs::Column::LeasedUntil, Expr::value(Option::<i64>::None))
                // The deletion of these blobs was scheduled when the job was marked dead.
                .col_expr(jobs::Column::BlobPrefixes, Expr::value(""))
                .filter(jobs::Column::Id.eq(id))
                .filter(jobs::Column::State.eq(JobState::Dead.as_str()))
                .exec_with_returning(&tx.tx)
                .await?;
            let Some(job) = revived.into_iter().next() else { return Ok(TxEnd::Rollback(None)) };
            let revived = DueMessage::for_job(&job)?;
            let message = &revived.message;
            let upload = message.job.upload();
            if !message.job.settles_upload() {
                jobs::Entity::update_many()
                    .col_expr(jobs::Column::ExpiresAt, Expr::value(now + millis(deadline)))
                    .filter(jobs::Column::Id.eq(id))
                    .exec(&tx.tx)
                    .await?;
            }
            let waiting = uploads::Entity::update_many()
                .col_expr(uploads::Column::State, Expr::value(UploadState::Accepted.as_str()))
                .col_expr(uploads::Column::Deadline, Expr::value(now + millis(deadline)))
                .col_expr(uploads::Column::SettledAt, Expr::value(Option::<i64>::None))
                .col_expr(uploads::Column::ReasonCode, Expr::value(Option::<String>::None))
                .col_expr(uploads::Column::ReasonMessage, Expr::value(Option::<String>::None))
                .filter(uploads::Column::Id.eq(upload.get()))
                .filter(uploads::Column::State.eq(UploadState::Failed.as_str()))
                .filter(is_retriable(now))
                .exec_with_returning(&tx.tx)
                .await?;
            let waiting = waiting.into_iter().next();
            let waiting_bytes = waiting.as_ref().map_or(0, |waiting| waiting.bytes);
            if message.job.settles_upload() && waiting.is_none() {
                return Ok(TxEnd::Rollback(None));
            }
            if let Some(waiting) = waiting
                && !tx.reacquire_target(convert::upload_id(waiting.id)?, waiting.kind.parse()?).await?
            {
                return Ok(TxEnd::Rollback(None));
            }
            variants::Entity::update_many()
                .col_expr(variants::Column::ReasonCode, Expr::value(Option::<String>::None))
                .col_expr(variants::Column::ReasonMessage, Expr::value(Option::<String>::None))
                .filter(variants::Column::JobId.eq(id))
                .filter(variants::Column::UploadId.eq(upload.get()))
                .exec(&tx.tx)
                .await?;
            tx.record_events(upload, [Event::new(convert::timestamp(now), EventKind::Retried, message.job.kind())])
                .await?;
            let mut changes = UsageDeltas::default();
            changes.add(
                &message.principal,
                UsageDelta { bytes: waiting_bytes, ..UsageDelta::for_jobs(message.job.settles_upload(), 1) },
            );
            tx.apply_usage(changes).await?;
            Ok(TxEnd::Commit(Some(revived)))
        })
        .await
    }

    /// Discards a dead job. Its upload keeps its state. Returns false if no dead job has this id.
    ///
    /// # Errors
    /// Any database error.
    pub async fn discard_job(&self, id: JobId) -> Result<bool, RecordsError> {
        self.write("discard_job", async |tx| {
            let now = self.now_ms();
            let Some(job) =
                jobs::Entity::find_by_id(id).one(&tx.tx).await?.filter(|job| job.state == JobState::Dead.as_str())
            else {
                return Ok(TxEnd::Rollback(false));
            };
            jobs::Entity::delete_by_id(id).exec(&tx.tx).await?;
            if let Some(upload) = convert::job_upload(&job)? {
                // The next request for the size enqueues a new job.
                variants::Entity::delete_many()
                    .filter(variants::Column::UploadId.eq(upload.get()))
                    .filter(variants::Column::JobId.eq(id))
                    .filter(variants::Column::BlobKey.is_null())
                    .exec(&tx.tx)
                    .await?;
                tx.record_events(upload, [Event::new(convert::timestamp(now), EventKind::Discarded, job.kind)]).await?;
            }
            Ok(TxEnd::Commit(true))
        })
        .await
    }
}

/// Whether a failed upload can still be used if it is retried. A dropbox picture that was not claimed in time cannot;
/// an upload into a file always can.
pub(crate) fn is_retriable(now: i64) -> Condition {
    Condition::any()
        .add(uploads::Column::ExpiresAt.gt(now))
        .add(uploads::Column::ClaimedAt.is_not_null())
        .add(uploads::Column::Kind.ne(UploadKind::Dropbox.as_str()))
}

fn job_row(job: jobs::Model) -> Result<JobRow, RecordsError> {
    Ok(JobRow {
        id: job.id,
        queue: convert::queue_name(&job)?,
        upload: convert::job_upload(&job)?,
        kind: job.kind,
        settles_upload: job.settles_upload,
        principal: job.principal,
        dead: job.state == JobState::Dead.as_str(),
        attempts: job.attempts - job.uncounted_attempts,
        postponements: job.postponements,
        waiting_for: job.waiting_for,
        last_error: job.last_error,
        created_at: convert::timestamp(job.created_at),
        run_at: convert::timestamp(job.run_at),
        published_at: job.published_at.map(convert::timestamp),
        republish_at: convert::timestamp(job.republish_at),
        leased_until: job.leased_until.map(convert::timestamp),
    })
}
