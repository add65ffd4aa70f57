//! Variants of a ready picture: looking one up, requesting one that does not exist yet, and settling the job that
//! makes it.

use std::time::Duration;

use domain::{
    EventKind, Job, JobId, JobMessage, JobState, Reason, ReasonCode, Upload, UploadId, UploadState, Variant,
    VariantName, ordered_id,
};
use instrument::current_traceparent;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set, UpdateMany};

use crate::attempt::Attempt;
use crate::convert;
use crate::entity::{jobs, uploads, variants};
use crate::error::RecordsError;
use crate::records::Records;
use crate::settle::{SettleResult, variant_row};
use crate::usage::{Usage, UsageDelta, UsageDeltas};
use crate::write::TxEnd;
use crate::write_tx::WriteTx;

/// The status of a requested variant.
#[derive(Clone, Debug)]
pub enum VariantStatus {
    /// The variant exists.
    Ready(Variant),
    /// An earlier request enqueued this job, which is to make it.
    Pending(JobId),
    /// This request enqueued the job; its message is to be published.
    Enqueued(JobMessage),
    /// It cannot be made.
    Refused(Reason),
    /// It was not made, and the job that was to make it is dead.
    Failed(Reason),
    /// The picture has expired or was cropped again since the caller read it.
    Outdated,
}

/// The most variants of non-standard sizes that one picture can have under one crop, so that no client fills the
/// store by requesting every size. Standard sizes are not counted, because any client may request an avatar's.
const MAX_CUSTOM_SIZES: usize = 24;

/// The time after which a job that makes a variant is given up, because its client has gone by then
/// and no deadline of an upload ends it. The next request for the size enqueues a new job.
const JOB_TIMEOUT: Duration = Duration::from_secs(600);

impl Records {
    /// Returns the variant, or the job that will make it, which this transaction enqueues if necessary. `generation` is
    /// the current one, or that of the uncropped picture for a variant of the whole ([`Upload::crop_of`]).
    ///
    /// # Errors
    /// Any database error.
    pub async fn request_variant(
        &self,
        upload: UploadId,
        generation: u32,
        name: VariantName,
    ) -> Result<VariantStatus, RecordsError> {
        let key = (upload.get(), convert::to_stored(generation), name.to_string());
        if let Some(row) = variants::Entity::find_by_id(key.clone()).one(&self.db).await? {
            return variant_status(&row);
        }
        self.write("request_variant", async |tx| {
        let now = self.now_ms();
        let siblings = variants::Entity::find()
            .filter(variants::Column::UploadId.eq(upload.get()))
            .filter(variants::Column::Generation.eq(convert::to_stored(generation)));
        if !name.is_standard() {
            let names = siblings.clone().select_only().column(variants::Column::Name).into_tuple::<String>();
            let odd = |name: &String| !name.parse().is_ok_and(VariantName::is_standard);
            if names.all(&tx.tx).await?.iter().filter(|name| odd(name)).count() >= MAX_CUSTOM_SIZES {
                let usual = VariantName::STANDARD_SIZES.map(|size| size.to_string()).join(", ");
                let message = format!(
                    "{MAX_CUSTOM_SIZES} odd sizes of this picture exist, which is the limit; ask for {usual} or one of them"
                );
                return Ok(TxEnd::Rollback(VariantStatus::Refused(Reason::new(ReasonCode::TooManyVariants, message))));
            }
        }
        // Locked until the commit, because a job for a picture that expires meanwhile would outlive the picture.
        let original = uploads::Entity::find_by_id(upload.get()).lock_shared().one(&tx.tx).await?;
        let original = original.map(convert::upload).transpose()?;
        let current =
            |upload: &Upload| upload.state == UploadState::Ready && upload.crop_of(generation, name).is_some();
        let Some(original) = original.filter(current) else { return Ok(TxEnd::Rollback(VariantStatus::Outdated)) };
        let (owner, estimate) = (original.owner, original.render_estimate);
        let message = JobMessage::new(ordered_id(), Job::MakeVariant { upload, generation, variant: name });
        let row = variants::ActiveModel {
            upload_id: Set(upload.get()),
            generation: Set(convert::to_stored(generation)),
            name: Set(name.to_string()),
            job_id: Set(Some(message.id)),
            created_at: Set(now),
            ..Default::default()
        };
        let ordered = variants::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&tx.tx)
            .await?;
        if ordered == 0 {
            // Another request was faster. Its row is committed, or this insert would have waited for it.
            let row = siblings.filter(variants::Column::Name.eq(name.to_string())).one(&tx.tx).await?;
            let status = row.as_ref().map_or(Ok(VariantStatus::Outdated), variant_status)?;
            return Ok(TxEnd::Rollback(status));
        }
        let held = Usage::from(tx.apply_usage_delta(&owner, UsageDelta::for_jobs(false, 1)).await?);
        let queue = self.routing.queue(&message.job, held.uploads + held.variants, estimate);
        let message = JobMessage { queue, principal: owner, traceparent: current_traceparent(), ..message };
        tx.enqueue_job(&message, JOB_TIMEOUT, now).await?;
        Ok(TxEnd::Commit(VariantStatus::Enqueued(message)))
        })
        .await
    }

    /// Settles the job of a variant that has been made.
    ///
    /// # Errors
    /// Any database error; then nothing was settled.
    pub async fn settle_variant(
        &self,
        attempt: &Attempt,
        generation: u32,
        made: &Variant,
    ) -> Result<SettleResult, RecordsError> {
        self.write("settle_variant", async |tx| {
            let now = self.now_ms();
            if !tx.finish_job(attempt, Some(&attempt.prefix), now).await? {
                return Ok(TxEnd::Rollback(SettleResult::Superseded));
            }
            let row = variant_row(attempt.upload.id, generation, made, now);
            let settled = variants::Entity::update_many()
                .set(row)
                .filter(variants::Column::UploadId.eq(attempt.upload.id.get()))
                .filter(variants::Column::Generation.eq(convert::to_stored(generation)))
                .filter(variants::Column::Name.eq(made.name.to_string()))
                // The bytes are counted once, so a row that now waits for another job is not
                // settled by this one.
                .filter(variants::Column::JobId.eq(attempt.message.id))
                .exec(&tx.tx)
                .await?;
            if settled.rows_affected == 0 {
                return Ok(TxEnd::Rollback(SettleResult::Superseded));
            }
            tx.record_attempt(attempt, now, EventKind::VariantMade, &made.name.to_string()).await?;
            let mut changes = UsageDeltas::for_ended_job(&attempt.message);
            changes.add_bytes(&attempt.upload.owner, i64::try_from(made.bytes).unwrap_or(i64::MAX));
            tx.apply_usage(changes).await?;
            Ok(TxEnd::Commit(SettleResult::Applied))
        })
        .await
    }

    /// Records that the variant cannot be made, for a permanent reason.
    ///
    /// # Errors
    /// Any database error; then nothing was settled.
    pub async fn refuse_variant(&self, attempt: &Attempt, reason: &Reason) -> Result<SettleResult, RecordsError> {
        self.write("refuse_variant", async |tx| {
            let now = self.now_ms();
            if !tx.finish_job(attempt, None, now).await? {
                return Ok(TxEnd::Rollback(SettleResult::Superseded));
            }
            let no_job: Option<JobId> = None;
            set_variant_failure(attempt, reason)
                .col_expr(variants::Column::JobId, Expr::value(no_job))
                .exec(&tx.tx)
                .await?;
            tx.record_attempt(attempt, now, EventKind::VariantRefused, &reason.message).await?;
            tx.apply_usage(UsageDeltas::for_ended_job(&attempt.message)).await?;
            Ok(TxEnd::Commit(SettleResult::Applied))
        })
        .await
    }

    /// The existing variants of one crop, by name.
    ///
    /// # Errors
    /// Any database error.
    pub async fn variants(&self, upload: UploadId, generation: u32) -> Result<Vec<Variant>, RecordsError> {
        let rows = variants::Entity::find()
            .filter(variants::Column::UploadId.eq(upload.get()))
            .filter(variants::Column::Generation.eq(convert::to_stored(generation)))
            .order_by_asc(variants::Column::Name)
            .all(&self.db)
            .await?;
        rows.iter().filter_map(|row| convert::variant(row).transpose()).collect()
    }

    /// The job that is to settle an upload, if there is one.
    ///
    /// # Errors
    /// Any database error.
    pub async fn processing_job(&self, upload: UploadId) -> Result<Option<JobId>, RecordsError> {
        let job = jobs::Entity::find()
            .filter(jobs::Column::UploadId.eq(upload.get()))
            .filter(jobs::Column::State.eq(JobState::Queued.as_str()))
            .filter(jobs::Column::SettlesUpload.eq(true))
            .one(&self.db)
            .await?;
        Ok(job.map(|job| job.id))
    }
}

impl WriteTx {
    /// Records the failure of a dead job for the variant that it was to make. Clients that wait for the variant get
    /// this reason until the job is retried.
    pub(crate) async fn record_variant_failure(&self, attempt: &Attempt, reason: &Reason) -> Result<(), RecordsError> {
        set_variant_failure(attempt, reason).exec(&self.tx).await?;
        Ok(())
    }
}

/// Sets the failure reason of the variant that the attempt was to make.
fn set_variant_failure(attempt: &Attempt, reason: &Reason) -> UpdateMany<variants::Entity> {
    variants::Entity::update_many()
        .col_expr(variants::Column::ReasonCode, Expr::value(reason.code.as_str()))
        .col_expr(variants::Column::ReasonMessage, Expr::value(reason.message.as_str()))
        .filter(variants::Column::UploadId.eq(attempt.upload.id.get()))
        .filter(variants::Column::JobId.eq(attempt.message.id))
}

fn variant_status(row: &variants::Model) -> Result<VariantStatus, RecordsError> {
    if let Some(variant) = convert::variant(row)? {
        return Ok(VariantStatus::Ready(variant));
    }
    match (convert::reason(row.reason_code.clone(), row.reason_message.clone()), row.job_id) {
        (None, Some(job)) => Ok(VariantStatus::Pending(job)),
        (Some(reason), Some(_)) => Ok(VariantStatus::Failed(reason)),
        (Some(reason), None) => Ok(VariantStatus::Refused(reason)),
        (None, None) => Err(RecordsError::CorruptRow(format!(
            "variant {} of upload {} has neither bytes nor a job nor a reason",
            row.name, row.upload_id
        ))),
    }
}
