//! Ending an attempt: ready, rejected, failed, or to be tried again. Each is one transaction that counts only while the
//! attempt is still the job's latest and the upload still waits; otherwise it is void, and whoever ends the job has what
//! was written collected. The upload's row comes first and the job's after it, as in `expire`, or the two would wait for
//! each other.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set, UpdateMany};

use super::attempt::Attempt;
use super::entity::{jobs, uploads, users, variants};
use super::outbox::{self, Publish};
use super::principals::Changes;
use super::{Records, RecordsError, Writing, rows, span};
use crate::upload::{Event, Kind, Reason, State, Upload, UploadId, Variant};
use crate::{Backend, Media};

/// What a worker made of an upload.
#[derive(Clone, Debug)]
pub struct Made {
    /// What is known of it as a picture, where it is one that we can show.
    pub shown: Option<Shown>,
    /// Where the bytes as uploaded are kept.
    pub original_key: String,
    /// The first sizes.
    pub variants: Vec<Variant>,
}

/// A picture that can be shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Pixels across, oriented.
    pub width: u32,
    /// Pixels down, oriented.
    pub height: u32,
    /// The kind served without a preference.
    pub served: Media,
}

/// Whether a settling counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It did.
    Counted,
    /// Something else had been decided before: the blobs go, and nobody is told.
    Void,
    /// The owner lost the right to upload while the job waited; the upload is rejected instead.
    Rejected(Reason),
}

impl Records {
    /// The upload is ready, with these variants. The owner's right is looked at again, here where it counts.
    ///
    /// # Errors
    /// The database's; then nothing was settled.
    pub async fn settle_ready(&self, attempt: &Attempt, made: Made) -> Result<Settled, RecordsError> {
        self.faults.watch("records", "settle_ready", self.ready_in_one(attempt, made)).await
    }

    async fn ready_in_one(&self, attempt: &Attempt, made: Made) -> Result<Settled, RecordsError> {
        let tx = self.write().await?;
        let now = self.now_ms();
        let owner = users::Entity::find_by_id(&attempt.upload.owner).one(&*tx).await?;
        let permitted = if owner.is_none_or(|owner| owner.disabled_at.is_some()) {
            Err(Reason::new("not_permitted", "the account that sent this picture may not upload any more"))
        } else {
            tx.still_permitted(&attempt.upload, now).await?
        };
        if let Err(reason) = permitted {
            drop(tx);
            return match self.settle_rejected(attempt, &reason).await? {
                Settled::Counted => Ok(Settled::Rejected(reason)),
                other => Ok(other),
            };
        }
        let pixels = |side: fn(&Shown) -> u32| made.shown.as_ref().map(|shown| rows::stored_pixels(side(shown)));
        let settled = settling(attempt.upload.id, State::Ready, now)
            .col_expr(uploads::Column::Width, Expr::value(pixels(|shown| shown.width)))
            .col_expr(uploads::Column::Height, Expr::value(pixels(|shown| shown.height)))
            .col_expr(uploads::Column::Served, Expr::value(made.shown.map(|shown| rows::media_word(shown.served))))
            .col_expr(uploads::Column::OriginalKey, Expr::value(made.original_key))
            .exec(&*tx)
            .await?;
        let counts = settled.rows_affected > 0
            && tx.finish_job(attempt, Some(&attempt.prefix), now).await?
            && tx.keep_place(&attempt.upload, now).await?;
        if !counts {
            return Ok(Settled::Void);
        }
        let rendered: u64 = made.variants.iter().map(|variant| variant.bytes).sum();
        let made: Vec<_> =
            made.variants.iter().map(|variant| variant_row(attempt.upload.id, 0, variant, now)).collect();
        let mut changes = Changes::ended(attempt);
        changes.bytes(&attempt.upload.owner, i64::try_from(rendered).unwrap_or(i64::MAX));
        if attempt.ticket.principal.is_empty() {
            // An older version admitted it, and did not count its bytes.
            changes.bytes(&attempt.upload.owner, bytes(&attempt.upload));
        }
        if !made.is_empty() {
            variants::Entity::insert_many(made).exec_without_returning(&*tx).await?;
        }
        tx.tell_end(attempt, now, "ready", "").await?;
        tx.count(changes).await?;
        tx.commit().await?;
        Ok(Settled::Counted)
    }

    /// The upload is refused for a reason that its sender can mend. To the queue that is a job well done.
    ///
    /// # Errors
    /// The database's; then nothing was settled.
    pub async fn settle_rejected(&self, attempt: &Attempt, reason: &Reason) -> Result<Settled, RecordsError> {
        self.faults.watch("records", "settle_rejected", self.rejected_in_one(attempt, reason)).await
    }

    async fn rejected_in_one(&self, attempt: &Attempt, reason: &Reason) -> Result<Settled, RecordsError> {
        let tx = self.write().await?;
        let now = self.now_ms();
        let settled = refusing(attempt.upload.id, State::Rejected, reason, now).exec(&*tx).await?;
        if settled.rows_affected == 0 || !tx.finish_job(attempt, None, now).await? {
            return Ok(Settled::Void);
        }
        tx.release_place(attempt, now).await?;
        tx.tell_end(attempt, now, "rejected", &reason.why).await?;
        let mut changes = Changes::ended(attempt);
        changes.bytes(&attempt.ticket.principal, -bytes(&attempt.upload));
        tx.count(changes).await?;
        tx.commit().await?;
        Ok(Settled::Counted)
    }

    /// We give up on the job: it is kept as a dead letter with `errors`, the chain of what went wrong. An upload that
    /// still waits has failed; staged bytes stay, so that the job can be retried by hand.
    ///
    /// # Errors
    /// The database's; then nothing was settled.
    pub async fn bury(&self, attempt: &Attempt, reason: &Reason, errors: &str) -> Result<Settled, RecordsError> {
        self.faults.watch("records", "bury", self.bury_in_one(attempt, reason, errors)).await
    }

    async fn bury_in_one(&self, attempt: &Attempt, reason: &Reason, errors: &str) -> Result<Settled, RecordsError> {
        let tx = self.write().await?;
        let now = self.now_ms();
        let failed = refusing(attempt.upload.id, State::Failed, reason, now).exec(&*tx).await?;
        let buried = job_of(attempt)
            .col_expr(jobs::Column::State, Expr::value("dead"))
            .col_expr(jobs::Column::LastError, Expr::value(errors))
            .col_expr(jobs::Column::LeasedUntil, Expr::value(Option::<i64>::None))
            .exec_with_returning(&*tx)
            .await?;
        let [buried] = buried.as_slice() else { return Ok(Settled::Void) };
        tx.condemn_attempts(buried, None, Some(&attempt.prefix), now).await?;
        if failed.rows_affected > 0 {
            tx.release_place(attempt, now).await?;
        }
        if !attempt.ticket.job.settles() {
            tx.fail_ordered(attempt, reason).await?;
        }
        tx.tell_end(attempt, now, "dead", errors).await?;
        let mut changes = Changes::ended(attempt);
        if failed.rows_affected > 0 {
            changes.bytes(&attempt.ticket.principal, -bytes(&attempt.upload));
        }
        tx.count(changes).await?;
        tx.commit().await?;
        Ok(Settled::Counted)
    }

    /// The attempt came to nothing for a reason that may be the picture's; it counts, and the job is to run again after
    /// `delay`. Returns the publish that is due then; None when something else had been decided before.
    ///
    /// # Errors
    /// The database's; then the lease runs out and the sweeper has it run again.
    pub async fn put_off(
        &self,
        attempt: &Attempt,
        delay: Duration,
        errors: &str,
    ) -> Result<Option<Publish>, RecordsError> {
        self.faults.watch("records", "put_off", self.run_again(attempt, None, delay, errors)).await
    }

    /// The attempt came to nothing because `backend` failed. It does not count against the limit, and the job is to run
    /// again after `delay`. Returns the publish that is due then. None when something else had been decided before; the
    /// attempt does not count then either. The call can be repeated when the database did not say how it ended.
    ///
    /// # Errors
    /// The database's; then the attempt counts until a repeated call succeeds, since it may have crashed.
    pub async fn postpone(
        &self,
        attempt: &Attempt,
        backend: Backend,
        delay: Duration,
        errors: &str,
    ) -> Result<Option<Publish>, RecordsError> {
        self.faults.watch("records", "postpone", self.run_again(attempt, Some(backend), delay, errors)).await
    }

    async fn run_again(
        &self,
        attempt: &Attempt,
        failing: Option<Backend>,
        delay: Duration,
        errors: &str,
    ) -> Result<Option<Publish>, RecordsError> {
        let tx = self.write().await?;
        let now = self.now_ms();
        let run_at = now + span(delay);
        if failing.is_some() {
            uncount(attempt).exec(&*tx).await?;
        }
        let postponed = match failing {
            Some(_) => Expr::col(jobs::Column::Postponed).add(1),
            None => Expr::value(0),
        };
        let put_off = job_of(attempt)
            .col_expr(jobs::Column::RunAt, Expr::value(run_at))
            .col_expr(jobs::Column::LastError, Expr::value(errors))
            .col_expr(jobs::Column::WaitsFor, Expr::value(failing.map(Backend::as_str)))
            .col_expr(jobs::Column::Postponed, postponed)
            .col_expr(jobs::Column::LeasedUntil, Expr::value(Option::<i64>::None))
            .col_expr(jobs::Column::PublishedAt, Expr::value(Option::<i64>::None))
            .col_expr(jobs::Column::Publishes, outbox::next_publish())
            .col_expr(jobs::Column::RepublishAt, Expr::value(outbox::after_grace(run_at)))
            // Of a repeated call whose predecessor was committed, only the first counts.
            .filter(jobs::Column::LeasedUntil.is_not_null())
            .exec_with_returning(&*tx)
            .await?;
        let Some(job) = put_off.first() else {
            tx.commit().await?;
            return Ok(None);
        };
        let publish = Publish::of(job);
        let counts = if failing.is_some() { ", which does not count" } else { "" };
        let detail = format!("attempt {}{counts}; again in {} ms: {errors}", attempt.number, delay.as_millis());
        tx.tell_end(attempt, now, "put off", &detail).await?;
        tx.commit().await?;
        Ok(Some(publish))
    }
}

/// Takes an attempt out of those that count, once, whether or not a later one has begun.
fn uncount(attempt: &Attempt) -> UpdateMany<jobs::Entity> {
    let number = i32::try_from(attempt.number).unwrap_or(i32::MAX);
    jobs::Entity::update_many()
        .col_expr(jobs::Column::Uncounted, Expr::col(jobs::Column::Uncounted).add(1))
        .col_expr(jobs::Column::LastUncounted, Expr::value(number))
        .filter(jobs::Column::Id.eq(attempt.ticket.id))
        .filter(jobs::Column::State.eq("queued"))
        .filter(jobs::Column::LastUncounted.lt(number))
}

/// The bytes of an upload, as they were counted.
fn bytes(upload: &Upload) -> i64 {
    i64::try_from(upload.bytes).unwrap_or(i64::MAX)
}

/// The job, as long as this attempt is its latest.
fn job_of(attempt: &Attempt) -> UpdateMany<jobs::Entity> {
    jobs::Entity::update_many()
        .filter(jobs::Column::Id.eq(attempt.ticket.id))
        .filter(jobs::Column::Attempts.eq(i32::try_from(attempt.number).unwrap_or(i32::MAX)))
        .filter(jobs::Column::State.eq("queued"))
}

/// Sets the end of an upload that still waits for it.
pub(super) fn settling(upload: UploadId, state: State, now: i64) -> UpdateMany<uploads::Entity> {
    uploads::Entity::update_many()
        .col_expr(uploads::Column::State, Expr::value(state.as_str()))
        .col_expr(uploads::Column::SettledAt, Expr::value(now))
        .filter(uploads::Column::Id.eq(upload.get()))
        .filter(uploads::Column::State.eq(State::Accepted.as_str()))
}

fn refusing(upload: UploadId, state: State, reason: &Reason, now: i64) -> UpdateMany<uploads::Entity> {
    settling(upload, state, now)
        .col_expr(uploads::Column::Code, Expr::value(reason.code.as_str()))
        .col_expr(uploads::Column::Why, Expr::value(reason.why.as_str()))
}

pub(super) fn variant_row(upload: UploadId, generation: u32, variant: &Variant, now: i64) -> variants::ActiveModel {
    variants::ActiveModel {
        upload_id: Set(upload.get()),
        generation: Set(rows::stored_pixels(generation)),
        name: Set(variant.name.to_string()),
        key: Set(Some(variant.key.clone())),
        media: Set(Some(rows::media_word(variant.name.media()))),
        width: Set(Some(rows::stored_pixels(variant.width))),
        height: Set(Some(rows::stored_pixels(variant.height))),
        bytes: Set(Some(i64::try_from(variant.bytes).unwrap_or(i64::MAX))),
        sha256: Set(Some(variant.sha256.clone())),
        job: Set(None),
        why: Set(None),
        created_at: Set(now),
    }
}

impl Writing {
    /// Takes the job out of the outbox and condemns what was written for it, but for what is `settled`. False when this
    /// attempt is not its latest any more.
    pub(super) async fn finish_job(
        &self,
        attempt: &Attempt,
        settled: Option<&str>,
        now: i64,
    ) -> Result<bool, RecordsError> {
        let finished = jobs::Entity::delete_many()
            .filter(jobs::Column::Id.eq(attempt.ticket.id))
            .filter(jobs::Column::Attempts.eq(i32::try_from(attempt.number).unwrap_or(i32::MAX)))
            .filter(jobs::Column::State.eq("queued"))
            .exec_with_returning(&self.tx)
            .await?;
        let [job] = finished.as_slice() else { return Ok(false) };
        self.condemn_attempts(job, settled, Some(&attempt.prefix), now).await?;
        Ok(true)
    }

    /// What the attempt's upload took in a file is free, where it took something.
    async fn release_place(&self, attempt: &Attempt, now: i64) -> Result<(), RecordsError> {
        match attempt.upload.kind {
            Kind::Dropbox => Ok(()),
            Kind::Rendition | Kind::File => self.release_places(&[attempt.upload.id.get()], now).await,
        }
    }

    /// Writes down the way of an attempt and its end.
    pub(super) async fn tell_end(
        &self,
        attempt: &Attempt,
        now: i64,
        what: &str,
        detail: &str,
    ) -> Result<(), RecordsError> {
        let end = Event::new(rows::at(now), what, detail);
        self.tell(attempt.upload.id, attempt.events.iter().cloned().chain([end])).await
    }
}
