//! Settling an attempt: ready, rejected, failed, or to be tried again.
//!
//! Each outcome is one transaction, and it changes something only while the attempt is the job's latest. An upload is
//! settled only while it still waits. If an outcome comes too late, it changes nothing: the transaction that ended the
//! job before has scheduled the deletion of the blobs that the late attempt wrote.
//!
//! The upload's row is locked before the job's, as in `expire`, because the opposite order could deadlock.

use std::time::Duration;

use domain::{
    Backend, Event, EventKind, JobState, Media, Reason, ReasonCode, Upload, UploadId, UploadKind, UploadState, Variant,
};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set, UpdateMany};

use crate::attempt::Attempt;
use crate::convert;
use crate::convert::millis;
use crate::entity::{jobs, uploads, users, variants};
use crate::error::RecordsError;
use crate::outbox::{self, PublishAttempt};
use crate::records::Records;
use crate::usage::UsageDeltas;
use crate::write::TxEnd;
use crate::write_tx::WriteTx;

/// The result of processing an upload.
#[derive(Clone, Debug)]
pub struct ProcessedUpload {
    /// The picture's size and type, if the upload is a picture that can be shown.
    pub picture: Option<PictureInfo>,
    /// The key of the original in blobs.
    pub original_key: String,
    /// The variants that the job made.
    pub variants: Vec<Variant>,
}

/// A picture that can be shown.
#[derive(Clone, Copy, Debug)]
pub struct PictureInfo {
    /// Width in pixels, after orientation.
    pub width: u32,
    /// Height in pixels, after orientation.
    pub height: u32,
    /// The media type of the response if the client does not ask for another one.
    pub default_media: Media,
}

/// Whether an outcome was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleResult {
    /// The outcome was applied.
    Applied,
    /// Another outcome was settled first. The blobs of this attempt will be deleted, and no waiting client is told.
    Superseded,
    /// The owner lost the right to upload while the job waited; the upload is rejected instead.
    Rejected(Reason),
}

impl Records {
    /// Settles the upload as ready, with these variants. The owner's right to upload is checked again in this
    /// transaction.
    ///
    /// # Errors
    /// Any database error; then nothing was settled.
    pub async fn settle_ready(&self, attempt: &Attempt, made: ProcessedUpload) -> Result<SettleResult, RecordsError> {
        self.write("settle_ready", async |tx| {
            let now = self.now_ms();
            let owner = users::Entity::find_by_id(&attempt.upload.owner).one(&tx.tx).await?;
            let permitted = if owner.is_none_or(|owner| owner.disabled_at.is_some()) {
                Err(Reason::new(ReasonCode::NotPermitted, "the account that sent this picture may not upload any more"))
            } else {
                tx.is_still_permitted(&attempt.upload, now).await?
            };
            if let Err(reason) = permitted {
                return Ok(match tx.reject(attempt, &reason, now).await? {
                    true => TxEnd::Commit(SettleResult::Rejected(reason)),
                    false => TxEnd::Rollback(SettleResult::Superseded),
                });
            }
            let pixels =
                |side: fn(&PictureInfo) -> u32| made.picture.as_ref().map(|shown| convert::to_stored(side(shown)));
            let settled = settle_upload(attempt.upload.id, UploadState::Ready, now)
                .col_expr(uploads::Column::Width, Expr::value(pixels(|shown| shown.width)))
                .col_expr(uploads::Column::Height, Expr::value(pixels(|shown| shown.height)))
                .col_expr(
                    uploads::Column::DefaultMedia,
                    Expr::value(made.picture.map(|shown| convert::media_name(shown.default_media))),
                )
                .col_expr(uploads::Column::OriginalKey, Expr::value(made.original_key))
                .exec(&tx.tx)
                .await?;
            let is_applied = settled.rows_affected > 0
                && tx.finish_job(attempt, Some(&attempt.prefix), now).await?
                && tx.confirm_target(&attempt.upload, now).await?;
            if !is_applied {
                return Ok(TxEnd::Rollback(SettleResult::Superseded));
            }
            let variant_bytes: u64 = made.variants.iter().map(|variant| variant.bytes).sum();
            let rows: Vec<_> =
                made.variants.iter().map(|variant| variant_row(attempt.upload.id, 0, variant, now)).collect();
            let mut changes = UsageDeltas::for_ended_job(&attempt.message);
            changes.add_bytes(&attempt.upload.owner, i64::try_from(variant_bytes).unwrap_or(i64::MAX));
            if !rows.is_empty() {
                variants::Entity::insert_many(rows).exec_without_returning(&tx.tx).await?;
            }
            tx.record_attempt(attempt, now, EventKind::Ready, "").await?;
            tx.apply_usage(changes).await?;
            Ok(TxEnd::Commit(SettleResult::Applied))
        })
        .await
    }

    /// Rejects the upload for a reason that the client can correct. For the queue the job is done.
    ///
    /// # Errors
    /// Any database error; then nothing was settled.
    pub async fn settle_rejected(&self, attempt: &Attempt, reason: &Reason) -> Result<SettleResult, RecordsError> {
        self.write("settle_rejected", async |tx| {
            Ok(match tx.reject(attempt, reason, self.now_ms()).await? {
                true => TxEnd::Commit(SettleResult::Applied),
                false => TxEnd::Rollback(SettleResult::Superseded),
            })
        })
        .await
    }

    /// Marks the job dead and keeps it with `errors`, the chain of what went wrong. An upload that still waits is
    /// settled as failed. Its staged bytes stay, so that an operator can retry the job.
    ///
    /// # Errors
    /// Any database error; then nothing was settled.
    pub async fn mark_dead(
        &self,
        attempt: &Attempt,
        reason: &Reason,
        errors: &str,
    ) -> Result<SettleResult, RecordsError> {
        self.write("mark_dead", async |tx| {
            let now = self.now_ms();
            let failed =
                settle_upload_with_reason(attempt.upload.id, UploadState::Failed, reason, now).exec(&tx.tx).await?;
            let dead_jobs = update_current_job(attempt)
                .col_expr(jobs::Column::State, Expr::value(JobState::Dead.as_str()))
                .col_expr(jobs::Column::LastError, Expr::value(errors))
                .col_expr(jobs::Column::LeasedUntil, Expr::value(Option::<i64>::None))
                .exec_with_returning(&tx.tx)
                .await?;
            let [dead_job] = dead_jobs.as_slice() else { return Ok(TxEnd::Rollback(SettleResult::Superseded)) };
            tx.schedule_attempt_deletions(dead_job, None, Some(&attempt.prefix), now).await?;
            if failed.rows_affected > 0 {
                tx.release_target(attempt, now).await?;
            }
            if !attempt.message.job.settles_upload() {
                tx.record_variant_failure(attempt, reason).await?;
            }
            tx.record_attempt(attempt, now, EventKind::Dead, errors).await?;
            let mut changes = UsageDeltas::for_ended_job(&attempt.message);
            if failed.rows_affected > 0 {
                changes.add_bytes(&attempt.message.principal, -counted_bytes(&attempt.upload));
            }
            tx.apply_usage(changes).await?;
            Ok(TxEnd::Commit(SettleResult::Applied))
        })
        .await
    }

    /// Reschedules the job after `delay`, because the attempt failed for a reason that may lie in the picture. The
    /// attempt counts. Returns the message to publish after the delay, or None if another outcome was settled first.
    ///
    /// # Errors
    /// Any database error; then the lease runs out and the sweeper publishes the job again.
    pub async fn reschedule(
        &self,
        attempt: &Attempt,
        delay: Duration,
        errors: &str,
    ) -> Result<Option<PublishAttempt>, RecordsError> {
        self.write("reschedule", async |tx| {
            Ok(TxEnd::Commit(tx.reschedule(attempt, None, delay, errors, self.now_ms()).await?))
        })
        .await
    }

    /// Postpones the job by `delay` because `backend` failed. The attempt does not count against the limit.
    ///
    /// Returns the message to publish after the delay, or None if another outcome was settled first. In both cases the
    /// attempt does not count. The call can be repeated if the database did not say how it ended.
    ///
    /// # Errors
    /// Any database error. Then the attempt has no recorded end, and counts like that of a crashed worker until a
    /// repeated call succeeds.
    pub async fn postpone(
        &self,
        attempt: &Attempt,
        backend: Backend,
        delay: Duration,
        errors: &str,
    ) -> Result<Option<PublishAttempt>, RecordsError> {
        self.write("postpone", async |tx| {
            Ok(TxEnd::Commit(tx.reschedule(attempt, Some(backend), delay, errors, self.now_ms()).await?))
        })
        .await
    }
}

/// Excludes an attempt from the attempts that count, even if a later attempt has begun. Has no effect if the attempt
/// is excluded already.
fn uncount_attempt(attempt: &Attempt) -> UpdateMany<jobs::Entity> {
    let number = i32::try_from(attempt.number).unwrap_or(i32::MAX);
    jobs::Entity::update_many()
        .col_expr(jobs::Column::UncountedAttempts, Expr::col(jobs::Column::UncountedAttempts).add(1))
        .col_expr(jobs::Column::LastUncountedAttempt, Expr::value(number))
        .filter(jobs::Column::Id.eq(attempt.message.id))
        .filter(jobs::Column::State.eq(JobState::Queued.as_str()))
        .filter(jobs::Column::LastUncountedAttempt.lt(number))
}

/// The bytes of an upload, as counted at its admission.
fn counted_bytes(upload: &Upload) -> i64 {
    i64::try_from(upload.bytes).unwrap_or(i64::MAX)
}

/// Begins an update of the job, which changes nothing if this attempt is not the job's latest.
fn update_current_job(attempt: &Attempt) -> UpdateMany<jobs::Entity> {
    jobs::Entity::update_many()
        .filter(jobs::Column::Id.eq(attempt.message.id))
        .filter(jobs::Column::Attempts.eq(i32::try_from(attempt.number).unwrap_or(i32::MAX)))
        .filter(jobs::Column::State.eq(JobState::Queued.as_str()))
}

/// Settles an upload that still waits.
pub(crate) fn settle_upload(upload: UploadId, state: UploadState, now: i64) -> UpdateMany<uploads::Entity> {
    uploads::Entity::update_many()
        .col_expr(uploads::Column::State, Expr::value(state.as_str()))
        .col_expr(uploads::Column::SettledAt, Expr::value(now))
        .filter(uploads::Column::Id.eq(upload.get()))
        .filter(uploads::Column::State.eq(UploadState::Accepted.as_str()))
}

fn settle_upload_with_reason(
    upload: UploadId,
    state: UploadState,
    reason: &Reason,
    now: i64,
) -> UpdateMany<uploads::Entity> {
    settle_upload(upload, state, now)
        .col_expr(uploads::Column::ReasonCode, Expr::value(reason.code.as_str()))
        .col_expr(uploads::Column::ReasonMessage, Expr::value(reason.message.as_str()))
}

pub(crate) fn variant_row(upload: UploadId, generation: u32, variant: &Variant, now: i64) -> variants::ActiveModel {
    variants::ActiveModel {
        upload_id: Set(upload.get()),
        generation: Set(convert::to_stored(generation)),
        name: Set(variant.name.to_string()),
        blob_key: Set(Some(variant.key.clone())),
        media: Set(Some(convert::media_name(variant.name.media()))),
        width: Set(Some(convert::to_stored(variant.width))),
        height: Set(Some(convert::to_stored(variant.height))),
        bytes: Set(Some(i64::try_from(variant.bytes).unwrap_or(i64::MAX))),
        sha256: Set(Some(variant.sha256.clone())),
        job_id: Set(None),
        reason_code: Set(None),
        reason_message: Set(None),
        created_at: Set(now),
    }
}

impl WriteTx {
    /// Rejects the upload of an attempt. Returns false if another outcome was settled first; then the transaction must
    /// be rolled back.
    async fn reject(&self, attempt: &Attempt, reason: &Reason, now: i64) -> Result<bool, RecordsError> {
        let rejected = settle_upload_with_reason(attempt.upload.id, UploadState::Rejected, reason, now);
        if rejected.exec(&self.tx).await?.rows_affected == 0 || !self.finish_job(attempt, None, now).await? {
            return Ok(false);
        }
        self.release_target(attempt, now).await?;
        self.record_attempt(attempt, now, EventKind::Rejected, &reason.message).await?;
        let mut changes = UsageDeltas::for_ended_job(&attempt.message);
        changes.add_bytes(&attempt.message.principal, -counted_bytes(&attempt.upload));
        self.apply_usage(changes).await?;
        Ok(true)
    }

    /// Lets the job run again after `delay`. If a backend failed, the attempt does not count. Returns the message to
    /// publish after the delay, or None if another outcome was settled first.
    async fn reschedule(
        &self,
        attempt: &Attempt,
        failing: Option<Backend>,
        delay: Duration,
        errors: &str,
        now: i64,
    ) -> Result<Option<PublishAttempt>, RecordsError> {
        let run_at = now + millis(delay);
        if failing.is_some() {
            uncount_attempt(attempt).exec(&self.tx).await?;
        }
        let postponements = match failing {
            Some(_) => Expr::col(jobs::Column::Postponements).add(1),
            None => Expr::value(0),
        };
        let rescheduled = update_current_job(attempt)
            .col_expr(jobs::Column::RunAt, Expr::value(run_at))
            .col_expr(jobs::Column::LastError, Expr::value(errors))
            .col_expr(jobs::Column::WaitingFor, Expr::value(failing.map(Backend::as_str)))
            .col_expr(jobs::Column::Postponements, postponements)
            .col_expr(jobs::Column::LeasedUntil, Expr::value(Option::<i64>::None))
            .col_expr(jobs::Column::PublishedAt, Expr::value(Option::<i64>::None))
            .col_expr(jobs::Column::Publishes, outbox::next_publish())
            .col_expr(jobs::Column::RepublishAt, Expr::value(outbox::publish_due_at(run_at)))
            // If the first call was committed and the call is repeated, the second call must change nothing.
            .filter(jobs::Column::LeasedUntil.is_not_null())
            .exec_with_returning(&self.tx)
            .await?;
        let Some(job) = rescheduled.first() else { return Ok(None) };
        let publish = PublishAttempt::for_job(job);
        let (kind, counts) = match failing {
            Some(_) => (EventKind::Postponed, ", which does not count"),
            None => (EventKind::Rescheduled, ""),
        };
        let detail = format!("attempt {}{counts}; again in {} ms: {errors}", attempt.number, delay.as_millis());
        self.record_attempt(attempt, now, kind, &detail).await?;
        Ok(Some(publish))
    }

    /// Deletes the job from the outbox and schedules the deletion of its blobs, except those under `settled_prefix`.
    /// Returns false if this attempt is not its latest any more.
    pub(crate) async fn finish_job(
        &self,
        attempt: &Attempt,
        settled_prefix: Option<&str>,
        now: i64,
    ) -> Result<bool, RecordsError> {
        let finished = jobs::Entity::delete_many()
            .filter(jobs::Column::Id.eq(attempt.message.id))
            .filter(jobs::Column::Attempts.eq(i32::try_from(attempt.number).unwrap_or(i32::MAX)))
            .filter(jobs::Column::State.eq(JobState::Queued.as_str()))
            .exec_with_returning(&self.tx)
            .await?;
        let [job] = finished.as_slice() else { return Ok(false) };
        self.schedule_attempt_deletions(job, settled_prefix, Some(&attempt.prefix), now).await?;
        Ok(true)
    }

    /// Frees the version or the rendition of a file for which the attempt's upload was made. A picture has none.
    async fn release_target(&self, attempt: &Attempt, now: i64) -> Result<(), RecordsError> {
        match attempt.upload.kind {
            UploadKind::Dropbox => Ok(()),
            UploadKind::Rendition | UploadKind::File => self.release_targets(&[attempt.upload.id.get()], now).await,
        }
    }

    /// Records the events of an attempt and its end.
    pub(crate) async fn record_attempt(
        &self,
        attempt: &Attempt,
        now: i64,
        kind: EventKind,
        detail: &str,
    ) -> Result<(), RecordsError> {
        let end = Event::new(convert::timestamp(now), kind, detail);
        self.record_events(attempt.upload.id, attempt.events.iter().cloned().chain([end])).await
    }
}
