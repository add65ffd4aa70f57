//! `picture.process.v1`: pick up, render, promote, settle, unstage. What the api let through is looked at again here, by
//! the one who decides.

use bytes::Bytes;
use upload::{Attempt, Media, Outcome, PictureInfo, ProcessedUpload, Reason, SettleResult, VariantName};

use crate::attempt_result::AttemptResult;
use crate::picture::{self, RenderedPicture};
use crate::runner::Worker;
use crate::{promote, render_plans};

impl Worker {
    /// Settles a fresh picture of the dropbox, whichever way.
    pub(crate) async fn process_picture(&self, attempt: &mut Attempt) -> Result<AttemptResult, AttemptResult> {
        let bytes = self.fetch_and_verify(attempt).await?;
        match self.render(attempt, bytes.clone(), render_plans::initial()).await? {
            Ok(picture) => self.publish_variants(attempt, bytes, picture).await,
            Err(rejection) => self.reject(attempt, Reason::new(rejection.code(), &rejection)).await,
        }
    }

    async fn publish_variants(
        &self,
        attempt: &mut Attempt,
        bytes: Bytes,
        picture: RenderedPicture,
    ) -> Result<AttemptResult, AttemptResult> {
        let sizes = picture.variants.iter().map(|made| {
            let (width, height, bytes) = (made.width, made.height, made.bytes.len());
            format!("{width} × {height}: {bytes} bytes")
        });
        let sizes = sizes.collect::<Vec<_>>().join(", ");
        let media = attempt.upload.media.name();
        let rendered = format!("{media} of {} × {} pixels; {sizes}", picture.width, picture.height);
        attempt.push_event(self.backends.records.clock().now(), "rendered", rendered);
        let served = picture.variants.first().map_or(Media::Jpeg, |made| made.media);
        let name = |made: &picture::RenderedVariant| VariantName::square(made.width, made.media);
        let (original_key, variants) =
            promote::write_with_original(&self.backends, attempt, Some(bytes), picture.variants, name).await?;
        let shown = Some(PictureInfo { width: picture.width, height: picture.height, default_media: served });
        self.settle(attempt, ProcessedUpload { picture: shown, original_key, variants }).await
    }

    /// Writes down what was made, and says how that was taken.
    pub(crate) async fn settle(
        &self,
        attempt: &mut Attempt,
        made: ProcessedUpload,
    ) -> Result<AttemptResult, AttemptResult> {
        let promoted = format!("{} objects", made.variants.len() + 1);
        attempt.push_event(self.backends.records.clock().now(), "promoted", promoted);
        let verdict = match self.backends.records.settle_ready(attempt, made).await? {
            SettleResult::Applied => Outcome::Ready,
            SettleResult::Rejected(reason) => Outcome::Rejected(reason),
            SettleResult::Superseded => return Ok(AttemptResult::Done(None)),
        };
        self.delete_staged(attempt).await;
        Ok(AttemptResult::Done(Some(verdict)))
    }

    async fn reject(&self, attempt: &Attempt, reason: Reason) -> Result<AttemptResult, AttemptResult> {
        if self.backends.records.settle_rejected(attempt, &reason).await? == SettleResult::Superseded {
            return Ok(AttemptResult::Done(None));
        }
        self.delete_staged(attempt).await;
        Ok(AttemptResult::Done(Some(Outcome::Rejected(reason))))
    }

    /// Takes the staged bytes away, now that the records say that nobody needs them. Where that fails they are an
    /// orphan, which the sweeper finds.
    async fn delete_staged(&self, attempt: &Attempt) {
        if let Err(error) = self.backends.staging.delete(&attempt.upload.staged_key).await {
            tracing::warn!(upload = %attempt.upload.id, %error, "staged bytes stay until the sweeper comes");
        }
    }
}
