//! What every upload passes, whether a picture, a file or a rendition: it is accepted before its body is read, its job
//! is published, and its outcome is awaited.

use axum::http::StatusCode;
use domain::{Outcome, UploadId, UploadState};
use records::{Admitted, RecordsError};

use crate::error::ApiError;
use crate::http::prefer::Prefer;
use crate::state::AppState;

impl AppState {
    /// Checks whether an upload of about `bytes` bytes can be accepted, before its body is read.
    pub(crate) async fn accept_upload(&self, bytes: u64) -> Result<(), ApiError> {
        self.backends.check_accepts_upload(bytes).await.map_err(ApiError::NotAccepting)
    }

    /// Removes the staged bytes of an upload that was not admitted, so that a client that tries again and again does
    /// not fill staging. If it is unknown whether the upload was admitted, the bytes stay. The sweeper removes them if
    /// no upload needs them.
    pub(crate) async fn remove_staged(&self, key: &str, error: RecordsError) -> RecordsError {
        if !error.is_outcome_unknown()
            && let Err(failed) = self.backends.staging.delete(key).await
        {
            tracing::warn!(key, error = %failed, "staged bytes of a refused upload stay until the sweeper removes them");
        }
        error
    }

    /// Publishes the job of an upload, waits as long as the client prefers, and returns the status: 200 or 202.
    pub(crate) async fn publish_and_wait(&self, admitted: &Admitted, prefer: Prefer) -> Result<StatusCode, ApiError> {
        let max_wait = prefer.wait_time(&self.uploads);
        if max_wait.is_zero() {
            self.publish_job(&admitted.message).await;
            return Ok(StatusCode::ACCEPTED);
        }
        let waiter = self.backends.queue.wait_for_outcome(admitted.message.id);
        self.publish_job(&admitted.message).await;
        match waiter.outcome(max_wait).await {
            Some(Outcome::Ready) => Ok(StatusCode::OK),
            Some(Outcome::Rejected(reason)) => Err(ApiError::Rejected(reason)),
            Some(Outcome::Failed(reason)) => Err(ApiError::Failed(reason)),
            None => self.upload_status_code(admitted.id).await,
        }
    }

    /// Returns the status code for the state of an upload: 200 or 202.
    pub(crate) async fn upload_status_code(&self, id: UploadId) -> Result<StatusCode, ApiError> {
        let Some(upload) = self.backends.records.upload(id).await? else { return Ok(StatusCode::ACCEPTED) };
        match (upload.state, upload.reason) {
            (UploadState::Ready | UploadState::Expired, _) => Ok(StatusCode::OK),
            (UploadState::Rejected, Some(reason)) => Err(ApiError::Rejected(reason)),
            (UploadState::Failed, Some(reason)) => Err(ApiError::Failed(reason)),
            _ => Ok(StatusCode::ACCEPTED),
        }
    }

    /// Publishes a job message. If that fails, the relay publishes it later from the records.
    pub(crate) async fn publish_job(&self, message: &domain::JobMessage) {
        match self.backends.queue.publish(message).await {
            Ok(()) => {
                self.confirmed_jobs.send(message.id).ok();
            }
            Err(error) => {
                tracing::warn!(%error, job = %message.id, "a job was not published, so the relay publishes it: {error}")
            }
        }
    }
}
