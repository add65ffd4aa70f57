//! `picture.process.v1`: pick up, render, promote, settle, unstage. What the api let through is looked at again here, by
//! the one who decides.

use bytes::Bytes;
use upload::{Attempt, Made, Media, Reason, Settled, Shown, VariantName, Verdict};

use crate::consume::Worker;
use crate::outcome::Outcome;
use crate::picture::{self, Picture};
use crate::{plan, promote};

impl Worker {
    /// Settles a fresh picture of the dropbox, whichever way.
    pub(crate) async fn process(&self, attempt: &mut Attempt) -> Result<Outcome, Outcome> {
        let bytes = self.pick_up(attempt).await?;
        match self.render(attempt, bytes.clone(), plan::first()).await? {
            Ok(picture) => self.hang_up(attempt, bytes, picture).await,
            Err(rejection) => self.reject(attempt, Reason::new(rejection.code(), &rejection)).await,
        }
    }

    async fn hang_up(&self, attempt: &mut Attempt, bytes: Bytes, picture: Picture) -> Result<Outcome, Outcome> {
        let sizes = picture.variants.iter().map(|made| {
            let (width, height, bytes) = (made.width, made.height, made.bytes.len());
            format!("{width} × {height}: {bytes} bytes")
        });
        let sizes = sizes.collect::<Vec<_>>().join(", ");
        let media = attempt.upload.media.name();
        let rendered = format!("{media} of {} × {} pixels; {sizes}", picture.width, picture.height);
        attempt.note(self.places.records.clock().now(), "rendered", rendered);
        let served = picture.variants.first().map_or(Media::Jpeg, |made| made.media);
        let name = |made: &picture::Variant| VariantName::square(made.width, made.media);
        let (original_key, variants) =
            promote::with_original(&self.places, attempt, Some(bytes), picture.variants, name).await?;
        let shown = Some(Shown { width: picture.width, height: picture.height, served });
        self.settle(attempt, Made { shown, original_key, variants }).await
    }

    /// Writes down what was made, and says how that was taken.
    pub(crate) async fn settle(&self, attempt: &mut Attempt, made: Made) -> Result<Outcome, Outcome> {
        let promoted = format!("{} objects", made.variants.len() + 1);
        attempt.note(self.places.records.clock().now(), "promoted", promoted);
        let verdict = match self.places.records.settle_ready(attempt, made).await? {
            Settled::Counted => Verdict::Ready,
            Settled::Rejected(reason) => Verdict::Rejected(reason),
            Settled::Void => return Ok(Outcome::Done(None)),
        };
        self.unstage(attempt).await;
        Ok(Outcome::Done(Some(verdict)))
    }

    async fn reject(&self, attempt: &Attempt, reason: Reason) -> Result<Outcome, Outcome> {
        if self.places.records.settle_rejected(attempt, &reason).await? == Settled::Void {
            return Ok(Outcome::Done(None));
        }
        self.unstage(attempt).await;
        Ok(Outcome::Done(Some(Verdict::Rejected(reason))))
    }

    /// Takes the staged bytes away, now that the records say that nobody needs them. Where that fails they are an
    /// orphan, which the sweeper finds.
    async fn unstage(&self, attempt: &Attempt) {
        if let Err(error) = self.places.staging.remove(&attempt.upload.staged_key).await {
            tracing::warn!(upload = %attempt.upload.id, %error, "staged bytes stay until the sweeper comes");
        }
    }
}
