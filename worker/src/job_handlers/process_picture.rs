//! `picture.process.v1`: fetch, render, promote, settle, unstage (delete the staged bytes). What the api accepted is
//! checked again here, because the worker decides how the upload ends.

use bytes::Bytes;
use domain::{EventKind, Media, Outcome, Reason, VariantName};
use picture::RenderedPicture;
use records::{Attempt, PictureInfo, ProcessedUpload, SettleResult};

use crate::attempt_result::AttemptResult;
use crate::worker::Worker;
use crate::{promote, render_plans};

impl Worker {
    /// Processes a fresh dropbox picture, and settles it as ready or as rejected.
    pub(crate) async fn process_picture(&self, attempt: &mut Attempt) -> Result<AttemptResult, AttemptResult> {
        let bytes = self.fetch_and_verify(attempt).await?;
        match self.render(attempt, bytes.clone(), render_plans::initial()).await? {
            Ok(picture) => self.promote_and_settle(attempt, bytes, picture).await,
            Err(rejection) => self.reject(attempt, Reason::new(rejection.code(), &rejection)).await,
        }
    }

    async fn promote_and_settle(
        &self,
        attempt: &mut Attempt,
        bytes: Bytes,
        picture: RenderedPicture,
    ) -> Result<AttemptResult, AttemptResult> {
        let sizes = picture.variants.iter().map(|variant| {
            let (width, height, byte_count) = (variant.width, variant.height, variant.bytes.len());
            format!("{width} × {height}: {byte_count} bytes")
        });
        let sizes = sizes.collect::<Vec<_>>().join(", ");
        let media = attempt.upload.media.name();
        let rendered = format!("{media} of {} × {} pixels; {sizes}", picture.width, picture.height);
        attempt.push_event(self.backends.records.clock().now(), EventKind::Rendered, rendered);
        let default_media = picture.variants.first().map_or(Media::Jpeg, |variant| variant.media);
        let name = |variant: &picture::RenderedVariant| VariantName::square(variant.width, variant.media);
        let (original_key, variants) =
            promote::write_with_original(&self.backends, attempt, Some(bytes), picture.variants, name).await?;
        let info = Some(PictureInfo { width: picture.width, height: picture.height, default_media });
        self.settle(attempt, ProcessedUpload { picture: info, original_key, variants }).await
    }

    /// Records the rendered variants and the outcome, deletes the staged bytes, and returns the result of the attempt.
    pub(crate) async fn settle(
        &self,
        attempt: &mut Attempt,
        processed: ProcessedUpload,
    ) -> Result<AttemptResult, AttemptResult> {
        let promoted = format!("{} objects", processed.variants.len() + 1);
        attempt.push_event(self.backends.records.clock().now(), EventKind::Promoted, promoted);
        let outcome = match self.backends.records.settle_ready(attempt, processed).await? {
            SettleResult::Applied => Outcome::Ready,
            SettleResult::Rejected(reason) => Outcome::Rejected(reason),
            SettleResult::Superseded => return Ok(AttemptResult::Done(None)),
        };
        self.delete_staged(attempt).await;
        Ok(AttemptResult::Done(Some(outcome)))
    }

    async fn reject(&self, attempt: &Attempt, reason: Reason) -> Result<AttemptResult, AttemptResult> {
        if self.backends.records.settle_rejected(attempt, &reason).await? == SettleResult::Superseded {
            return Ok(AttemptResult::Done(None));
        }
        self.delete_staged(attempt).await;
        Ok(AttemptResult::Done(Some(Outcome::Rejected(reason))))
    }

    /// Deletes the staged bytes once the records no longer need them. If the deletion fails, the bytes are an orphan,
    /// which the sweeper deletes.
    async fn delete_staged(&self, attempt: &Attempt) {
        if let Err(error) = self.backends.staging.delete(&attempt.upload.staged_key).await {
            tracing::warn!(upload = %attempt.upload.id, %error, "the staged bytes could not be deleted; the sweeper will delete them");
        }
    }
}
