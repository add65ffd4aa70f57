//! Admission of uploads: the upload, its job and its first events are inserted in one transaction.
//!
//! After the commit the staged bytes are kept and the job will be done, whatever happens to the process that admitted
//! the upload.

use std::time::Duration;

use domain::{
    Event, EventKind, IdempotencyKey, Job, JobMessage, JobState, Media, Routing, Staged, UploadId, UploadKind,
    UploadState, ordered_id,
};
use instrument::current_traceparent;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel, QueryFilter, Set,
};

use crate::commit::CommitLookup;
use crate::convert::millis;
use crate::entity::{events, jobs, uploads};
use crate::error::RecordsError;
use crate::records::Records;
use crate::usage::{Usage, UsageDelta};
use crate::write_tx::WriteTx;
use crate::{convert, outbox};

/// An upload whose bytes are durable in staging, before its admission.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The id of the uploading user.
    pub owner: String,
    /// The client's file name, cleaned.
    pub filename: String,
    /// The media type as sniffed from the bytes.
    pub media: Media,
    /// The staged bytes.
    pub staged: Staged,
    /// How long workers have before the sweeper settles the upload as failed.
    pub deadline: Duration,
    /// How long the upload may stay unclaimed.
    pub retention: Duration,
    /// The idempotency key of the request, if it had one.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// An admitted upload.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The number of the upload.
    pub id: UploadId,
    /// The message of its job, to be published.
    pub message: JobMessage,
}

impl Records {
    /// Admits an upload. Its state is [`UploadState::Accepted`].
    ///
    /// # Errors
    /// Any database error. Nothing was admitted and the staged bytes belong to no upload, unless
    /// [`RecordsError::is_outcome_unknown`].
    pub async fn admit(&self, admission: Admission) -> Result<Admitted, RecordsError> {
        self.write_with_lookup("admit", async |tx| {
            let new_upload = NewUpload {
                kind: UploadKind::Dropbox,
                owner: admission.owner,
                filename: admission.filename,
                media: admission.media,
                staged: admission.staged,
                deadline: admission.deadline,
                retention: Some(admission.retention),
            };
            let now = self.now_ms();
            let (inserted, row) = tx.insert_upload(new_upload, now).await?;
            if let Some(idempotency_key) = &admission.idempotency_key {
                tx.record_admitted_upload(idempotency_key, inserted.id).await?;
            }
            let admitted =
                tx.enqueue_first_job(inserted, |upload| Job::ProcessPicture { upload }, self.routing, now).await?;
            Ok((admitted, Some(row)))
        })
        .await
    }
}

/// Looks an admission up by the row of its upload.
impl CommitLookup for uploads::Model {
    type Found = ();

    async fn find(&self, tx: &WriteTx) -> Result<Option<()>, DbErr> {
        if tx.tx.get_database_backend() == DbBackend::Postgres {
            // Inserts the same row again, because PostgreSQL then waits for an open transaction
            // that inserts this number. A SELECT would not see the row of that transaction. Each
            // number is drawn once, so a row with this number is this upload.
            let again = uploads::Entity::insert(self.clone().into_active_model().reset_all())
                .on_conflict(OnConflict::column(uploads::Column::Id).do_nothing().to_owned());
            let inserted = again.exec_without_returning(&tx.tx).await?;
            return Ok((inserted == 0).then_some(()));
        }
        // SQLite has one write transaction at a time, which is this one now. A number whose insertion was rolled back
        // is given again, so the staged key decides.
        let found =
            uploads::Entity::find_by_id(self.id).filter(uploads::Column::StagedKey.eq(self.staged_key.as_str()));
        Ok(found.one(&tx.tx).await?.map(drop))
    }
}

/// The columns that every upload has, whatever its kind.
pub(crate) struct NewUpload {
    pub(crate) kind: UploadKind,
    pub(crate) owner: String,
    pub(crate) filename: String,
    pub(crate) media: Media,
    pub(crate) staged: Staged,
    pub(crate) deadline: Duration,
    /// How long the upload may stay unclaimed; None for an upload that cannot be claimed.
    pub(crate) retention: Option<Duration>,
}

/// An upload whose row is inserted and which has no job yet.
pub(crate) struct InsertedUpload {
    pub(crate) id: UploadId,
    owner: String,
    media: Media,
    bytes: u64,
    estimate: Duration,
    deadline: Duration,
}

impl WriteTx {
    /// Inserts the upload and returns it with its row, by which it can be looked up. Its job follows once its target
    /// is reserved: see [`enqueue_first_job`](Self::enqueue_first_job).
    pub(crate) async fn insert_upload(
        &self,
        new_upload: NewUpload,
        now: i64,
    ) -> Result<(InsertedUpload, uploads::Model), RecordsError> {
        let staged = new_upload.staged;
        let row = uploads::ActiveModel {
            kind: Set(new_upload.kind.as_str().to_owned()),
            owner: Set(new_upload.owner.clone()),
            state: Set(UploadState::Accepted.as_str().to_owned()),
            filename: Set(new_upload.filename),
            media: Set(convert::media_name(new_upload.media)),
            bytes: Set(i64::try_from(staged.bytes).unwrap_or(i64::MAX)),
            sha256: Set(staged.sha256),
            staged_key: Set(staged.key),
            generation: Set(0),
            created_at: Set(now),
            deadline: Set(now + millis(new_upload.deadline)),
            expires_at: Set(new_upload.retention.map(|keep| now + millis(keep))),
            render_estimate_ms: Set(i64::try_from(staged.render_estimate.as_millis()).unwrap_or(i64::MAX)),
            ..Default::default()
        };
        let row = row.insert(&self.tx).await?;
        let (bytes, estimate) = (staged.bytes, staged.render_estimate);
        let NewUpload { owner, media, deadline, .. } = new_upload;
        Ok((InsertedUpload { id: convert::upload_id(row.id)?, owner, media, bytes, estimate, deadline }, row))
    }

    /// Inserts the first job of an inserted upload, counts it and records the first events. After this, the transaction
    /// must not lock any row that another transaction could lock: see [`super::usage`].
    pub(crate) async fn enqueue_first_job(
        &self,
        inserted: InsertedUpload,
        job: impl FnOnce(UploadId) -> Job,
        routing: Routing,
        now: i64,
    ) -> Result<Admitted, RecordsError> {
        let InsertedUpload { id, owner, media, bytes, estimate, deadline } = inserted;
        let change = UsageDelta { bytes: i64::try_from(bytes).unwrap_or(i64::MAX), ..UsageDelta::for_jobs(true, 1) };
        let usage = Usage::from(self.apply_usage_delta(&owner, change).await?);
        let job = job(id);
        let queue = routing.queue(&job, usage.uploads + usage.variants, estimate);
        let message = JobMessage {
            queue,
            principal: owner,
            traceparent: current_traceparent(),
            ..JobMessage::new(ordered_id(), job)
        };
        self.enqueue_job(&message, deadline, now).await?;
        let at = convert::timestamp(now);
        let staged_detail = format!("{bytes} bytes of {}", media.name());
        let queued_detail = format!("{} in {queue}", message.job.kind());
        let staged = Event::new(at, EventKind::Staged, staged_detail);
        let queued = Event::new(at, EventKind::Queued, queued_detail);
        self.record_events(id, [staged, queued]).await?;
        Ok(Admitted { id, message })
    }

    /// Inserts a job in the same transaction as the change that requires it. The queue receives it
    /// after this transaction has committed. `deadline` is how long the job may take. A job that
    /// settles an upload ends with the upload's deadline. Any other job has a deadline of its own.
    pub(crate) async fn enqueue_job(
        &self,
        message: &JobMessage,
        deadline: Duration,
        now: i64,
    ) -> Result<(), RecordsError> {
        let expires_at = (!message.job.settles_upload()).then(|| now + millis(deadline));
        let row = jobs::ActiveModel {
            id: Set(message.id),
            upload_id: Set(Some(message.job.upload().get())),
            kind: Set(message.job.kind().to_owned()),
            payload: Set(serde_json::to_string(message).map_err(|error| RecordsError::CorruptRow(error.to_string()))?),
            settles_upload: Set(message.job.settles_upload()),
            state: Set(JobState::Queued.as_str().to_owned()),
            attempts: Set(0),
            traceparent: Set(message.traceparent.clone()),
            created_at: Set(now),
            run_at: Set(now),
            republish_at: Set(outbox::publish_due_at(now)),
            republish_after_ms: Set(outbox::republish_after(deadline)),
            expires_at: Set(expires_at),
            queue: Set(message.queue.as_str().to_owned()),
            principal: Set(message.principal.clone()),
            ..Default::default()
        };
        jobs::Entity::insert(row).exec_without_returning(&self.tx).await?;
        Ok(())
    }

    /// Adds events to an upload's history.
    pub(crate) async fn record_events(
        &self,
        upload: UploadId,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<(), RecordsError> {
        let rows: Vec<events::ActiveModel> = events
            .into_iter()
            .map(|event| events::ActiveModel {
                upload_id: Set(upload.get()),
                occurred_at: Set(event.at.as_millisecond()),
                kind: Set(event.kind.to_string()),
                detail: Set(event.detail),
                ..Default::default()
            })
            .collect();
        events::Entity::insert_many(rows).exec_without_returning(&self.tx).await?;
        Ok(())
    }
}
