//! Pictures that are not claimed yet, which only their uploader and site administrators see.

use std::sync::Arc;

use axum::http::HeaderMap;
use domain::{ExpectedVersion, Upload, UploadId, UploadKind, UploadState};
use jiff::Timestamp;
use queue::Queue;
use records::Records;

use crate::auth::auth_user::AuthUser;
use crate::dropbox::settings::UploadSettings;
use crate::error::ApiError;
use crate::http::conditional::{CurrentVersion, etag, expected_version, has_write_condition};

/// Finds unclaimed pictures.
pub(crate) struct UnclaimedPictures {
    records: Records,
    queue: Queue,
    settings: Arc<UploadSettings>,
}

impl UnclaimedPictures {
    pub(crate) fn new(records: Records, queue: Queue, settings: Arc<UploadSettings>) -> Self {
        Self { records, queue, settings }
    }

    /// The records that the pictures are in.
    pub(crate) fn records(&self) -> &Records {
        &self.records
    }

    /// Returns a picture that is ready, unclaimed and visible to the caller. Waits a bounded time for the worker.
    pub(crate) async fn find(&self, caller: &AuthUser, id: UploadId) -> Result<Upload, ApiError> {
        let unknown = || ApiError::NotFound(format!("there is no picture {id}"));
        let now = self.records.clock().now();
        let visible = |upload: &Upload| {
            upload.kind == UploadKind::Dropbox
                && caller.owns(upload)
                && upload.claim.is_none()
                && upload.expires_at.is_none_or(|expires| expires > now)
        };
        let upload = self.records.upload(id).await?.filter(visible).ok_or_else(unknown)?;
        let upload = self.wait_until_settled(upload).await?;
        if !visible(&upload) {
            return Err(unknown());
        }
        match (upload.state, &upload.reason) {
            (UploadState::Ready, _) => Ok(upload),
            (UploadState::Accepted, _) => Err(ApiError::NotReady("the picture is still being processed")),
            // An expired picture was deleted: those that were not claimed in time are not visible.
            (UploadState::Rejected | UploadState::Failed | UploadState::Expired, Some(reason)) => {
                Err(ApiError::NotFound(format!("there is no picture {id}: {}", reason.message)))
            }
            _ => Err(unknown()),
        }
    }

    /// Returns the generation that a write to a picture expects, by its conditions. Any size of the current crop may be
    /// what the client has.
    pub(crate) async fn expected_generation(
        &self,
        headers: &HeaderMap,
        upload: &Upload,
    ) -> Result<ExpectedVersion<u32>, ApiError> {
        if !has_write_condition(headers) {
            return Ok(ExpectedVersion::Any);
        }
        let variants = self.records.variants(upload.id, upload.generation).await?;
        let current = CurrentVersion {
            version: upload.generation,
            tags: variants.iter().map(|variant| etag(&variant.sha256)).collect(),
            modified_at: self.modified_at(upload).await?,
        };
        Ok(expected_version(headers, current))
    }

    /// Returns when a picture was last changed: when it was cropped, or else when it became ready.
    pub(crate) async fn modified_at(&self, upload: &Upload) -> Result<Option<Timestamp>, ApiError> {
        // Most pictures are never cropped, and need no query.
        let cropped_at = if upload.generation == 0 { None } else { self.records.cropped_at(upload.id).await? };
        Ok(cropped_at.or(upload.settled_at))
    }

    /// Waits until a worker has settled the upload, at most for `uploads.default_wait`. Returns the
    /// upload as it is after that.
    async fn wait_until_settled(&self, upload: Upload) -> Result<Upload, ApiError> {
        if upload.state != UploadState::Accepted {
            return Ok(upload);
        }
        let job = self.records.processing_job(upload.id).await?;
        let Some(job) = job else { return self.reload(upload.id).await };
        let waiter = self.queue.wait_for_shared_outcome(job).await;
        let upload = self.reload(upload.id).await?;
        if upload.state == UploadState::Accepted && waiter.outcome(self.settings.default_wait).await.is_some() {
            return self.reload(upload.id).await;
        }
        Ok(upload)
    }

    async fn reload(&self, id: UploadId) -> Result<Upload, ApiError> {
        let upload = self.records.upload(id).await?;
        upload.ok_or_else(|| ApiError::Internal(format!("upload {id} is not in the records any more")))
    }
}
