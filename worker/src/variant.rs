//! `picture.variant.v1`: one more size or kind of a picture that is ready, because somebody asked for it.

use upload::{Attempt, Reason, Settled, State, VariantName, Verdict};

use crate::consume::Worker;
use crate::outcome::Outcome;
use crate::picture::{self, Rejection};
use crate::{plan, promote};

impl Worker {
    /// Makes `name` from the kept original, under the crop of `generation`.
    pub(crate) async fn make_variant(&self, attempt: &mut Attempt, generation: u32, name: VariantName) -> Outcome {
        match self.try_variant(attempt, generation, name).await {
            Ok(outcome) | Err(outcome) => outcome,
        }
    }

    async fn try_variant(&self, attempt: &mut Attempt, generation: u32, name: VariantName) -> Result<Outcome, Outcome> {
        let upload = &attempt.upload;
        let (State::Ready, Some(key), Some(width), Some(height)) =
            (upload.state, &upload.original_key, upload.width, upload.height)
        else {
            return self.refuse(attempt, Reason::new("not_ready", "the picture is not there any more")).await;
        };
        if generation != upload.generation {
            return self.refuse(attempt, Reason::new("superseded", "the picture was cropped anew meanwhile")).await;
        }
        let bytes = self.places.blobs.read(key).await?;
        let plan = plan::one(name, upload.crop, width, height);
        let (limits, time) = (self.settings.pictures.limits(), self.settings.worker.render_time);
        let rendered = match picture::probe(&bytes, &limits) {
            Ok(probe) => self.pool.render(bytes, probe, plan, limits, time).await,
            Err(rejection) => Err(rejection),
        };
        let picture = match rendered {
            Ok(picture) => picture,
            Err(Rejection::Stopped) => return Err(Outcome::Retry("the time to render it ran out".to_owned())),
            Err(rejection) => return self.refuse(attempt, Reason::new(rejection.code(), &rejection)).await,
        };
        let made = promote::variants(&self.places, attempt, picture.variants, |_, _| Some(name)).await?;
        let Some(made) = made.into_iter().next() else {
            return Err(Outcome::Dead(Reason::new("nothing_made", "the engine made nothing of its plan")));
        };
        Ok(match self.places.records.settle_variant(attempt, generation, &made).await? {
            Settled::Void => Outcome::Done(None),
            _ => Outcome::Done(Some(Verdict::Ready)),
        })
    }

    async fn refuse(&self, attempt: &Attempt, reason: Reason) -> Result<Outcome, Outcome> {
        Ok(match self.places.records.refuse_variant(attempt, &reason).await? {
            Settled::Void => Outcome::Done(None),
            _ => Outcome::Done(Some(Verdict::Rejected(reason))),
        })
    }
}
