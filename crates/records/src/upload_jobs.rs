//! Enqueues and ends jobs about an upload that is ready. Such a job leaves the upload as it is.

use std::time::Duration;

use domain::{EventKind, Job, JobMessage, UploadId, UploadState, ordered_id};
use instrument::current_traceparent;
use sea_orm::{EntityTrait, QuerySelect};

use crate::attempt::Attempt;
use crate::entity::uploads;
use crate::error::RecordsError;
use crate::records::Records;
use crate::settle::SettleResult;
use crate::usage::{UsageDelta, UsageDeltas};
use crate::write::TxEnd;

impl Records {
    /// Enqueues a job about an upload that is ready, for the owner of the upload. The job is given up after `timeout`.
    /// Returns the message to publish; None if the upload is not ready.
    ///
    /// # Errors
    /// Any database error; then nothing was enqueued.
    pub async fn enqueue_upload_job(
        &self,
        upload: UploadId,
        job: Job,
        timeout: Duration,
    ) -> Result<Option<JobMessage>, RecordsError> {
        self.write("enqueue_upload_job", async |tx| {
            // The row of the upload is locked until the commit, because a job for an upload that expires meanwhile
            // would outlive the upload.
            let row = uploads::Entity::find_by_id(upload.get()).lock_shared().one(&tx.tx).await?;
            let ready = row.filter(|row| row.state == UploadState::Ready.as_str());
            let Some(uploads::Model { owner, .. }) = ready else { return Ok(TxEnd::Rollback(None)) };
            tx.apply_usage_delta(&owner, UsageDelta::for_jobs(false, 1)).await?;
            let message = JobMessage {
                principal: owner,
                traceparent: current_traceparent(),
                ..JobMessage::new(ordered_id(), job.clone())
            };
            tx.enqueue_job(&message, timeout, self.now_ms()).await?;
            Ok(TxEnd::Commit(Some(message)))
        })
        .await
    }

    /// Ends a job that changed nothing, with an event in the upload's history.
    ///
    /// # Errors
    /// Any database error; then the job runs again.
    pub async fn finish_upload_job(
        &self,
        attempt: &Attempt,
        kind: EventKind,
        detail: &str,
    ) -> Result<SettleResult, RecordsError> {
        self.write("finish_upload_job", async |tx| {
            let now = self.now_ms();
            if !tx.finish_job(attempt, None, now).await? {
                return Ok(TxEnd::Rollback(SettleResult::Superseded));
            }
            tx.record_attempt(attempt, now, kind, detail).await?;
            tx.apply_usage(UsageDeltas::for_ended_job(&attempt.message)).await?;
            Ok(TxEnd::Commit(SettleResult::Applied))
        })
        .await
    }
}
