//! Leasing a job to a worker.
//!
//! - The attempt is counted before any work is done, so that a job whose bytes crash workers runs out of
//!   attempts.
//! - The lease says how long no other worker may try the job.
//! - The job's row stores the attempt's blob prefix before any blob exists. The transaction that ends the job
//!   schedules the deletion of all blobs that were not settled.

use std::time::Duration;

use domain::{Event, EventKind, JobMessage, JobState, Upload, blob_keys};
use jiff::Timestamp;
use sea_orm::sea_query::{BinOper, Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};

use crate::convert;
use crate::convert::millis;
use crate::entity::{jobs, uploads};
use crate::error::RecordsError;
use crate::records::Records;
use crate::usage::UsageDeltas;
use crate::write::TxEnd;

/// The result of a worker's request for a job.
#[derive(Clone, Debug)]
pub enum LeaseResult {
    /// The worker has the lease and must run the job.
    Leased(Box<Attempt>),
    /// Another worker holds the lease until this time. If that worker is dead, the sweeper
    /// publishes the job again.
    Busy(Timestamp),
    /// The job is done or dead, or its upload is gone: the delivery is a duplicate.
    Gone,
}

/// One attempt of a worker at a job.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The job.
    pub message: JobMessage,
    /// The upload as it was when the attempt began.
    pub upload: Upload,
    /// The number of the attempt. The first attempt at a job has the number 1, and each later one has a higher number.
    /// The number is also a fence: once a later attempt has begun, this attempt cannot settle the job any more.
    pub number: u32,
    /// The number of attempts without those that a failing backend ended, because those say nothing about the
    /// picture.
    pub counted_attempts: u32,
    /// How often in a row a backend has postponed the job.
    pub postponements: u32,
    /// The prefix of blobs that this attempt alone may write under; ends in `-`.
    pub prefix: String,
    /// When the lease ends unless it is renewed.
    pub leased_until: Timestamp,
    /// How the last attempt failed, if it did.
    pub last_error: Option<String>,
    /// The upload's events of this attempt, written when it is settled.
    pub(crate) events: Vec<Event>,
}

impl Attempt {
    /// Adds an event, to be written with the outcome.
    pub fn push_event(&mut self, at: Timestamp, kind: EventKind, detail: impl Into<String>) {
        self.events.push(Event::new(at, kind, detail));
    }
}

impl Records {
    /// Counts an attempt at a job and leases the job to the caller.
    ///
    /// # Errors
    /// Any database error; then no attempt was begun.
    pub async fn begin_attempt(&self, message: &JobMessage, lease: Duration) -> Result<LeaseResult, RecordsError> {
        self.begin_attempt_with_prefix(message, lease, &blob_keys::new_attempt_prefix(message.job.upload())).await
    }

    /// As [`begin_attempt`](Self::begin_attempt), with a prefix that the caller has chosen
    /// ([`blob_keys::new_attempt_prefix`]).
    ///
    /// If the database failed without saying whether the attempt was begun, the call can be repeated with the same
    /// prefix: the attempt is counted once.
    ///
    /// # Errors
    /// Any database error; then the attempt may have begun or not.
    pub async fn begin_attempt_with_prefix(
        &self,
        message: &JobMessage,
        lease: Duration,
        prefix: &str,
    ) -> Result<LeaseResult, RecordsError> {
        let leased = self.write_statement("begin_attempt", async |db| {
            let now = self.now_ms();
            let until = now + millis(lease);
            let free =
                Condition::any().add(jobs::Column::LeasedUntil.is_null()).add(jobs::Column::LeasedUntil.lte(now));
            let leased = jobs::Entity::update_many()
                .col_expr(jobs::Column::Attempts, Expr::col(jobs::Column::Attempts).add(1))
                .col_expr(jobs::Column::LeasedUntil, Expr::value(until))
                .col_expr(jobs::Column::PublishedAt, Expr::value(now))
                .col_expr(jobs::Column::RepublishAt, Expr::value(until))
                .col_expr(
                    jobs::Column::BlobPrefixes,
                    Expr::col(jobs::Column::BlobPrefixes).binary(BinOper::Custom("||"), format!("{prefix} ")),
                )
                .filter(jobs::Column::Id.eq(message.id))
                .filter(jobs::Column::State.eq(JobState::Queued.as_str()))
                .filter(free)
                .filter(jobs::Column::BlobPrefixes.not_like(format!("%{prefix} ")))
                .exec_with_returning(db)
                .await?;
            Ok(leased.into_iter().next())
        });
        let leased = leased.await?;
        let begun_before = leased.is_none();
        let job = match leased {
            Some(job) => job,
            None => match jobs::Entity::find_by_id(message.id).one(&self.db).await? {
                Some(job) if job.state == JobState::Queued.as_str() && is_begun_with_prefix(&job, prefix) => job,
                Some(job) if job.state == JobState::Queued.as_str() => {
                    let now = self.now_ms();
                    return Ok(LeaseResult::Busy(convert::timestamp(job.leased_until.unwrap_or(now))));
                }
                _ => return Ok(LeaseResult::Gone),
            },
        };
        let upload = match job.upload_id {
            Some(id) => uploads::Entity::find_by_id(id).one(&self.db).await?,
            None => None,
        };
        let Some(upload) = upload else {
            self.delete_job_without_upload(&job, prefix).await?;
            return Ok(LeaseResult::Gone);
        };
        let until = self.now_ms() + millis(lease);
        let attempt = Attempt {
            // The row, and not the delivered message, says which queue and which principal's counters include the job.
            message: JobMessage {
                queue: convert::queue_name(&job)?,
                principal: job.principal.clone(),
                ..message.clone()
            },
            upload: convert::upload(upload)?,
            number: u32::try_from(job.attempts).unwrap_or(u32::MAX),
            counted_attempts: u32::try_from(job.attempts - job.uncounted_attempts).unwrap_or_default(),
            postponements: u32::try_from(job.postponements).unwrap_or_default(),
            prefix: prefix.to_owned(),
            leased_until: convert::timestamp(job.leased_until.unwrap_or(until)),
            last_error: job.last_error,
            events: Vec::new(),
        };
        // An attempt that an earlier call began has lost some or all of its lease by now, so the lease is renewed.
        if begun_before && !self.renew_lease(&attempt, lease).await? {
            return Ok(LeaseResult::Busy(attempt.leased_until));
        }
        Ok(LeaseResult::Leased(Box::new(attempt)))
    }

    /// Deletes a job whose upload does not exist any more.
    async fn delete_job_without_upload(&self, job: &jobs::Model, prefix: &str) -> Result<(), RecordsError> {
        self.write("begin_attempt", async |tx| {
            jobs::Entity::delete_by_id(job.id).exec(&tx.tx).await?;
            tx.schedule_attempt_deletions(job, None, Some(prefix), self.now_ms()).await?;
            let mut changes = UsageDeltas::default();
            changes.job_left_queue(job);
            tx.apply_usage(changes).await?;
            Ok(TxEnd::Commit(()))
        })
        .await
    }

    /// Extends an attempt's lease. Returns false if the attempt is no longer the job's latest or the job has ended.
    /// Then the work of the attempt is useless.
    ///
    /// # Errors
    /// Any database error.
    pub async fn renew_lease(&self, attempt: &Attempt, lease: Duration) -> Result<bool, RecordsError> {
        self.write_statement("renew_lease", async |db| {
            let until = self.now_ms() + millis(lease);
            let renewed = jobs::Entity::update_many()
                .col_expr(jobs::Column::LeasedUntil, Expr::value(until))
                .col_expr(jobs::Column::RepublishAt, Expr::value(until))
                .filter(jobs::Column::Id.eq(attempt.message.id))
                .filter(jobs::Column::Attempts.eq(i32::try_from(attempt.number).unwrap_or(i32::MAX)))
                .filter(jobs::Column::State.eq(JobState::Queued.as_str()))
                .exec(db)
                .await?;
            Ok(renewed.rows_affected == 1)
        })
        .await
    }
}

/// Whether the latest attempt at a job writes under `prefix`. If so, an earlier call began the
/// attempt, and its answer was lost.
fn is_begun_with_prefix(job: &jobs::Model, prefix: &str) -> bool {
    job.leased_until.is_some() && job.blob_prefixes.split_whitespace().next_back() == Some(prefix)
}
