//! Handing a job to a worker. The attempt is counted before anything is done, so that bytes which kill workers run out
//! of attempts; the lease says how long nobody else may try; the job's row knows the attempt's blobs before they exist, and
//! whoever ends the job condemns those that were not settled.

use std::time::Duration;

use jiff::Timestamp;
use sea_orm::sea_query::{BinOper, Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};

use super::entity::{jobs, uploads};
use super::usage::UsageDeltas;
use super::{Records, RecordsError, convert, millis};
use crate::blobs::Blobs;
use crate::job::JobMessage;
use crate::upload::{Event, Upload};

/// How a worker's reaching for a job ended.
#[derive(Clone, Debug)]
pub enum LeaseResult {
    /// It is this worker's: run it.
    Leased(Box<Attempt>),
    /// Another worker holds the lease until then; the sweeper will see to it if that one is dead.
    Busy(Timestamp),
    /// It has been done, or buried, or its upload is gone: the delivery is an echo.
    Gone,
}

/// One worker's try at one job.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The job.
    pub message: JobMessage,
    /// Its upload as it stood when the attempt began.
    pub upload: Upload,
    /// Which attempt this is, from 1, for ever growing. It is also the fence: a later attempt makes this one's settling
    /// void.
    pub number: u32,
    /// The same without the attempts that a failing backend ended: those say nothing about the picture.
    pub counted_attempts: u32,
    /// How often in a row a backend has postponed the job.
    pub postponed: u32,
    /// The prefix of blobs that this attempt alone may write under; ends in `-`.
    pub prefix: String,
    /// When the lease ends unless it is renewed.
    pub leased_until: Timestamp,
    /// How the last attempt ended, if that was not well.
    pub last_error: Option<String>,
    /// The upload's history of this attempt, written when it is settled.
    pub(super) events: Vec<Event>,
}

impl Attempt {
    /// Notes a hop, to be written with the outcome.
    pub fn push_event(&mut self, at: Timestamp, what: &str, detail: impl Into<String>) {
        self.events.push(Event { at, what: what.to_owned(), detail: detail.into() });
    }
}

impl Records {
    /// Counts an attempt at a job and leases it to the caller.
    ///
    /// # Errors
    /// The database's; then no attempt was begun.
    pub async fn begin_attempt(&self, message: &JobMessage, lease: Duration) -> Result<LeaseResult, RecordsError> {
        self.begin_attempt_with_prefix(message, lease, &Blobs::new_attempt_prefix(message.job.upload())).await
    }

    /// The same with a prefix that the caller has chosen ([`Blobs::new_attempt_prefix`]). When the database failed and did not say
    /// whether it had begun the attempt, the call can be repeated with the same prefix: the attempt is counted once.
    ///
    /// # Errors
    /// The database's; then the attempt may have begun or not.
    pub async fn begin_attempt_with_prefix(
        &self,
        message: &JobMessage,
        lease: Duration,
        prefix: &str,
    ) -> Result<LeaseResult, RecordsError> {
        self.fail_points.instrument("records", "begin_attempt", self.begin_attempt_in_tx(message, lease, prefix)).await
    }

    async fn begin_attempt_in_tx(
        &self,
        message: &JobMessage,
        lease: Duration,
        prefix: &str,
    ) -> Result<LeaseResult, RecordsError> {
        let now = self.now_ms();
        let until = now + millis(lease);
        let free = Condition::any().add(jobs::Column::LeasedUntil.is_null()).add(jobs::Column::LeasedUntil.lte(now));
        let write_lock = self.write_lock().await?;
        let leased = jobs::Entity::update_many()
            .col_expr(jobs::Column::Attempts, Expr::col(jobs::Column::Attempts).add(1))
            .col_expr(jobs::Column::LeasedUntil, Expr::value(until))
            .col_expr(jobs::Column::PublishedAt, Expr::value(now))
            .col_expr(jobs::Column::RepublishAt, Expr::value(until))
            .col_expr(
                jobs::Column::Prefixes,
                Expr::col(jobs::Column::Prefixes).binary(BinOper::Custom("||"), format!("{prefix} ")),
            )
            .filter(jobs::Column::Id.eq(message.id))
            .filter(jobs::Column::State.eq("queued"))
            .filter(free)
            .filter(jobs::Column::Prefixes.not_like(format!("%{prefix} ")))
            .exec_with_returning(&self.db)
            .await?;
        drop(write_lock);
        let job = match leased.into_iter().next() {
            Some(job) => job,
            None => match jobs::Entity::find_by_id(message.id).one(&self.db).await? {
                Some(job) if job.state == "queued" && is_begun_with_prefix(&job, prefix) => job,
                Some(job) if job.state == "queued" => {
                    return Ok(LeaseResult::Busy(convert::timestamp(job.leased_until.unwrap_or(now))));
                }
                _ => return Ok(LeaseResult::Gone),
            },
        };
        let Some(upload) = uploads::Entity::find_by_id(job.upload_id).one(&self.db).await? else {
            let tx = self.begin_write().await?;
            jobs::Entity::delete_by_id(job.id).exec(&*tx).await?;
            tx.schedule_attempt_deletions(&job, None, Some(prefix), now).await?;
            let mut changes = UsageDeltas::default();
            changes.job_left_queue(&job);
            tx.apply_usage(changes).await?;
            tx.commit().await?;
            return Ok(LeaseResult::Gone);
        };
        let attempt = Attempt {
            // The row says whose counters have the job.
            message: JobMessage {
                queue: convert::queue_name(&job),
                principal: job.principal.clone(),
                ..message.clone()
            },
            upload: convert::upload(upload)?,
            number: u32::try_from(job.attempts).unwrap_or(u32::MAX),
            counted_attempts: u32::try_from(job.attempts - job.uncounted).unwrap_or_default(),
            postponed: u32::try_from(job.postponed).unwrap_or_default(),
            prefix: prefix.to_owned(),
            leased_until: convert::timestamp(job.leased_until.unwrap_or(until)),
            last_error: job.last_error,
            events: Vec::new(),
        };
        // An attempt that an earlier call began has lost some of its lease by now, or all of it.
        if attempt.leased_until < convert::timestamp(until) && !self.renew_lease(&attempt, lease).await? {
            return Ok(LeaseResult::Busy(attempt.leased_until));
        }
        Ok(LeaseResult::Leased(Box::new(attempt)))
    }

    /// Extends an attempt's lease. False when the attempt is no longer the job's: then its work is in vain.
    ///
    /// # Errors
    /// The database's.
    pub async fn renew_lease(&self, attempt: &Attempt, lease: Duration) -> Result<bool, RecordsError> {
        let renew = async {
            let until = self.now_ms() + millis(lease);
            let renewed = jobs::Entity::update_many()
                .col_expr(jobs::Column::LeasedUntil, Expr::value(until))
                .col_expr(jobs::Column::RepublishAt, Expr::value(until))
                .filter(jobs::Column::Id.eq(attempt.message.id))
                .filter(jobs::Column::Attempts.eq(i32::try_from(attempt.number).unwrap_or(i32::MAX)))
                .filter(jobs::Column::State.eq("queued"))
                .exec(&self.db)
                .await?;
            Ok::<_, RecordsError>(renewed.rows_affected == 1)
        };
        self.fail_points.instrument("records", "renew_lease", renew).await
    }
}

/// Whether the latest attempt at a job is the one that writes under `prefix`: an earlier call began it, and the answer was
/// lost.
fn is_begun_with_prefix(job: &jobs::Model, prefix: &str) -> bool {
    job.leased_until.is_some() && job.prefixes.split_whitespace().next_back() == Some(prefix)
}
