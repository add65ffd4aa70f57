//! `picture.process.v1`: validate, render, promote, settle, unstage. What the api let through is looked at again here,
//! by the one who decides.

use bytes::Bytes;
use upload::{Attempt, Made, Media, Reason, Settled, Shown, State, StoreError, VariantName, Verdict, sha256};

use crate::consume::Worker;
use crate::outcome::Outcome;
use crate::picture::{self, Picture};
use crate::{plan, promote};

impl Worker {
    /// Settles a fresh upload, whichever way.
    pub(crate) async fn process(&self, attempt: &mut Attempt) -> Outcome {
        if attempt.upload.state != State::Accepted {
            return Outcome::Dead(Reason::new("settled_before", "the upload was settled before its job ran"));
        }
        let bytes = match self.places.staging.read(&attempt.upload.staged_key).await {
            Ok(bytes) => bytes,
            Err(error @ StoreError::Missing { .. }) => return Outcome::Dead(Reason::new("bytes_lost", error)),
            Err(error) => return error.into(),
        };
        let rendered = match self.validate(attempt, &bytes) {
            Ok(()) => self.render(attempt, &bytes).await,
            Err(outcome) => return outcome,
        };
        match rendered {
            Ok(picture) => match self.hang_up(attempt, bytes, picture).await {
                Ok(outcome) => outcome,
                Err(outcome) => outcome,
            },
            Err(picture::Rejection::Stopped) => Outcome::Retry("the time to render it ran out".to_owned()),
            Err(rejection) => self.reject(attempt, &Reason::new(rejection.code(), &rejection)).await,
        }
    }

    /// Whether these are the bytes that were acknowledged. A digest that differs is the store's fault, and may pass.
    fn validate(&self, attempt: &mut Attempt, bytes: &Bytes) -> Result<(), Outcome> {
        let upload = &attempt.upload;
        if sha256(bytes) != upload.sha256 {
            let why =
                format!("staging gave back {} bytes that are not the {} that were sent", bytes.len(), upload.bytes);
            return Err(Outcome::Dead(Reason::new("bytes_damaged", why)));
        }
        Ok(())
    }

    async fn render(&self, attempt: &mut Attempt, bytes: &Bytes) -> Result<Picture, picture::Rejection> {
        let limits = self.settings.pictures.limits();
        let probe = picture::probe(bytes, &limits)?;
        let validated = format!("{} of {} × {} pixels", probe.media.name(), probe.width, probe.height);
        attempt.note(self.places.records.clock().now(), "validated", validated);
        let time = self.settings.worker.render_time;
        let picture = self.pool.render(bytes.clone(), probe, plan::first(), limits, time).await?;
        let sizes: Vec<String> = picture
            .variants
            .iter()
            .map(|made| format!("{} × {}: {} bytes", made.width, made.height, made.bytes.len()))
            .collect();
        attempt.note(self.places.records.clock().now(), "rendered", sizes.join(", "));
        Ok(picture)
    }

    async fn hang_up(&self, attempt: &mut Attempt, bytes: Bytes, picture: Picture) -> Result<Outcome, Outcome> {
        let served = picture.variants.first().map_or(Media::Jpeg, |made| made.media);
        let name = |made: &picture::Variant, _| VariantName::square(made.width, made.media);
        let (original_key, variants) = tokio::try_join!(
            promote::original(&self.places, attempt, bytes),
            promote::variants(&self.places, attempt, picture.variants, name),
        )?;
        attempt.note(self.places.records.clock().now(), "promoted", format!("{} objects", variants.len() + 1));
        let shown = Some(Shown { width: picture.width, height: picture.height, served });
        self.settle(attempt, Made { shown, original_key, variants }).await
    }

    /// Writes down what was made, and says how that was taken.
    pub(crate) async fn settle(&self, attempt: &Attempt, made: Made) -> Result<Outcome, Outcome> {
        let settled = self.places.records.settle_ready(attempt, made).await?;
        let verdict = match settled {
            Settled::Counted => Verdict::Ready,
            Settled::Rejected(reason) => Verdict::Rejected(reason),
            Settled::Void => return Ok(Outcome::Done(None)),
        };
        self.unstage(attempt).await;
        Ok(Outcome::Done(Some(verdict)))
    }

    async fn reject(&self, attempt: &Attempt, reason: &Reason) -> Outcome {
        match self.places.records.settle_rejected(attempt, reason).await {
            Ok(Settled::Void) => Outcome::Done(None),
            Ok(_) => {
                self.unstage(attempt).await;
                Outcome::Done(Some(Verdict::Rejected(reason.clone())))
            }
            Err(error) => error.into(),
        }
    }

    /// Takes the staged bytes away, now that the records say that nobody needs them. Where that fails they are an
    /// orphan, which the sweeper finds.
    async fn unstage(&self, attempt: &Attempt) {
        if let Err(error) = self.places.staging.remove(&attempt.upload.staged_key).await {
            tracing::warn!(upload = %attempt.upload.id, %error, "staged bytes stay until the sweeper comes");
        }
    }
}
