//! `picture.variant.v1`: one more size or kind of a picture that is ready, because somebody asked for it.

use upload::{Attempt, Reason, Settled, State, VariantName, Verdict};

use crate::consume::Worker;
use crate::outcome::Outcome;
use crate::{plan, promote};

impl Worker {
    /// Makes `name` from the kept original, under the crop of `generation`.
    pub(crate) async fn make_variant(
        &self,
        attempt: &Attempt,
        generation: u32,
        name: VariantName,
    ) -> Result<Outcome, Outcome> {
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
        let picture = match self.render(attempt, bytes, plan).await? {
            Ok(picture) => picture,
            Err(rejection) => return self.refuse(attempt, Reason::new(rejection.code(), &rejection)).await,
        };
        let made = promote::variants(&self.places, attempt, picture.variants, |_| Some(name)).await?;
        let Some(made) = made.into_iter().next() else {
            return Err(Outcome::dead(Reason::new("nothing_made", "the engine made nothing of its plan")));
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
