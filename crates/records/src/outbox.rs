//! Publishing the messages of jobs. A job's row says when its message is to be published again (`republish_at`), and
//! every change of the job moves that time:
//!
//! | the job | is published again |
//! |---|---|
//! | is queued, or to be tried again | 10 s after it may run, unless it is published by then |
//! | has a message that the queue confirmed | after `republish_after`, a tenth of the deadline, doubled each time |
//! | is leased by a worker | when the lease ends |
//! | is dead | never |
//!
//! A message that is published twice does no harm, because the row decides whether the job still
//! has to be done. So a queue that lost its messages delays jobs only by a fraction of their
//! deadline. A queue that is only long gets at most four messages for one job before the deadline.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{JobId, JobMessage, JobState};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, LockBehavior, LockType, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::convert;
use crate::convert::millis;
use crate::entity::jobs;
use crate::error::RecordsError;
use crate::records::Records;

/// How long the process that enqueued a job has to publish it before the relay does.
const PUBLISH_GRACE: Duration = Duration::from_secs(10);

/// The shortest and the longest time that a confirmed message may wait before it is published again. A shorter
/// minimum would double the messages of a queue that is only busy; the maximum is for deadlines of hours.
const MIN_REPUBLISH_AFTER: Duration = Duration::from_secs(5);
const MAX_REPUBLISH_AFTER: Duration = Duration::from_secs(900);

/// How many queued jobs are reset by one statement, which has to end within the limit of a call.
const RESET_BATCH: u64 = 5000;

/// One publish of a job's message. The queue's confirmation is recorded for this publish only: once the job is to be
/// published again, a confirmation of an earlier publish is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishAttempt {
    /// The job.
    pub job: JobId,
    number: i32,
}

impl PublishAttempt {
    /// The first publish of a job that was just enqueued.
    pub fn first(job: JobId) -> Self {
        Self { job, number: 0 }
    }

    /// The publish that a job's row requires now.
    pub(crate) fn for_job(job: &jobs::Model) -> Self {
        Self { job: job.id, number: job.publishes }
    }
}

/// A message that is due to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueMessage {
    /// The message.
    pub message: JobMessage,
    /// The publish to confirm with [`Records::confirm_published`].
    pub publish: PublishAttempt,
}

impl DueMessage {
    pub(crate) fn for_job(job: &jobs::Model) -> Result<Self, RecordsError> {
        Ok(Self { message: convert::job_message(job)?, publish: PublishAttempt::for_job(job) })
    }
}

/// How long a confirmed message of a job with this deadline may wait in the queue before it is published again.
pub(crate) fn republish_after(deadline: Duration) -> i64 {
    millis((deadline / 10).clamp(MIN_REPUBLISH_AFTER, MAX_REPUBLISH_AFTER))
}

/// When a job that may run from `run_at` on is published by the sweeper, unless its message is confirmed by then.
pub(crate) fn publish_due_at(run_at: i64) -> i64 {
    run_at.saturating_add(millis(PUBLISH_GRACE))
}

/// The number of the next publish, which makes the confirmations of all earlier ones void.
pub(crate) fn next_publish() -> Expr {
    Expr::col(jobs::Column::Publishes).add(1)
}

impl Records {
    /// Takes up to `limit` jobs whose message is due to be published, longest due first. They are due again after a
    /// short time unless the publish is confirmed. Several sweepers share them.
    ///
    /// # Errors
    /// Any database error.
    pub async fn take_due_messages(&self, limit: u64) -> Result<Vec<DueMessage>, RecordsError> {
        self.write_statement("take_due_messages", async |db| {
            let now = self.now_ms();
            let due = Condition::all()
                .add(jobs::Column::State.eq(JobState::Queued.as_str()))
                .add(jobs::Column::RepublishAt.lte(now));
            let batch = Query::select()
                .column(jobs::Column::Id)
                .from(jobs::Entity)
                .cond_where(due.clone())
                .order_by(jobs::Column::RepublishAt, sea_orm::Order::Asc)
                .limit(limit)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .to_owned();
            let doubled = Expr::col(jobs::Column::RepublishAfterMs).mul(2);
            // A message that the queue has confirmed was lost or waits in a long queue. Doubling the interval keeps a
            // long queue from growing by copies.
            let confirmed = Expr::col(jobs::Column::PublishedAt).is_not_null();
            let after = CaseStatement::new()
                .case(confirmed.and(doubled.clone().lte(millis(MAX_REPUBLISH_AFTER))), doubled)
                .finally(Expr::col(jobs::Column::RepublishAfterMs));
            let taken = jobs::Entity::update_many()
                .col_expr(jobs::Column::Publishes, next_publish())
                .col_expr(jobs::Column::RepublishAt, Expr::value(publish_due_at(now)))
                .col_expr(jobs::Column::RepublishAfterMs, Expr::Case(Box::new(after)))
                .filter(jobs::Column::Id.in_subquery(batch))
                .filter(due)
                .exec_with_returning(db)
                .await?;
            // A job that this version cannot read is left for a newer one.
            Ok(taken.iter().filter_map(|row| DueMessage::for_job(row).ok()).collect())
        })
        .await
    }

    /// Records that the queue has confirmed these publishes. A confirmation is void if it is not of the job's latest
    /// publish, if a worker has leased the job, or if the job is dead.
    ///
    /// # Errors
    /// Any database error; then the relay publishes them once more.
    pub async fn confirm_published(
        &self,
        confirmed: impl IntoIterator<Item = PublishAttempt>,
    ) -> Result<(), RecordsError> {
        let mut by_number: BTreeMap<i32, Vec<JobId>> = BTreeMap::new();
        for PublishAttempt { job, number } in confirmed {
            by_number.entry(number).or_default().push(job);
        }
        self.write_statement("confirm_published", async |db| {
            let now = self.now_ms();
            let later = Expr::col(jobs::Column::RunAt).gt(now);
            let available = CaseStatement::new().case(later, Expr::col(jobs::Column::RunAt)).finally(Expr::value(now));
            let again = Expr::Case(Box::new(available)).add(Expr::col(jobs::Column::RepublishAfterMs));
            // Nearly all are the first publish of their job, so this is usually one statement.
            for (number, jobs) in by_number {
                jobs::Entity::update_many()
                    .col_expr(jobs::Column::PublishedAt, Expr::value(now))
                    .col_expr(jobs::Column::LeasedUntil, Expr::value(Option::<i64>::None))
                    .col_expr(jobs::Column::RepublishAt, again.clone())
                    .filter(jobs::Column::Id.is_in(jobs))
                    .filter(jobs::Column::Publishes.eq(number))
                    .filter(jobs::Column::State.eq(JobState::Queued.as_str()))
                    .filter(
                        Condition::any()
                            .add(jobs::Column::LeasedUntil.is_null())
                            .add(jobs::Column::LeasedUntil.lte(now)),
                    )
                    .exec(db)
                    .await?;
            }
            Ok(())
        })
        .await
    }

    /// Marks all queued jobs as unpublished and unleased, for a queue that loses its messages when the process ends.
    /// Only for the one process that owns both the queue and its workers, before the workers begin. Returns the number
    /// of these jobs.
    ///
    /// # Errors
    /// Any database error.
    pub async fn reset_queued_jobs(&self) -> Result<u64, RecordsError> {
        let (mut reopened, mut after) = (0, JobId::nil());
        while let Some((count, last)) = self.reset_queued_batch(after).await? {
            reopened += count;
            after = last;
        }
        Ok(reopened)
    }

    /// Resets a batch of queued jobs: those with the lowest ids after `after`. Returns their number
    /// and their last id; None if there are none.
    async fn reset_queued_batch(&self, after: JobId) -> Result<Option<(u64, JobId)>, RecordsError> {
        self.write_statement("reset_queued_jobs", async |db| {
            let now = self.now_ms();
            let open = jobs::Column::State.eq(JobState::Queued.as_str()).and(jobs::Column::Id.gt(after));
            let batch: Vec<JobId> = jobs::Entity::find()
                .select_only()
                .column(jobs::Column::Id)
                .filter(open.clone())
                .order_by_asc(jobs::Column::Id)
                .limit(RESET_BATCH)
                .into_tuple()
                .all(db)
                .await?;
            let Some(last) = batch.last().copied() else { return Ok(None) };
            let reopened = jobs::Entity::update_many()
                .col_expr(jobs::Column::PublishedAt, Expr::value(Option::<i64>::None))
                .col_expr(jobs::Column::LeasedUntil, Expr::value(Option::<i64>::None))
                .col_expr(jobs::Column::RunAt, Expr::value(now))
                .col_expr(jobs::Column::Publishes, next_publish())
                .col_expr(jobs::Column::RepublishAt, Expr::value(now))
                .filter(open)
                .filter(jobs::Column::Id.lte(last))
                .exec(db)
                .await?;
            Ok(Some((reopened.rows_affected, last)))
        })
        .await
    }
}
