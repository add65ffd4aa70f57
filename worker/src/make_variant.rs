//! `picture.variant.v1`: makes one more size or format of a ready picture, because a client requested it.

use domain::{Outcome, Reason, ReasonCode, UploadState, VariantName};
use records::{Attempt, SettleResult};

use crate::attempt_result::AttemptResult;
use crate::runner::Worker;
use crate::{promote, render_plans};

impl Worker {
    /// Renders `name` from the kept original, with the crop of `generation`.
    pub(crate) async fn make_variant(
        &self,
        attempt: &Attempt,
        generation: u32,
        name: VariantName,
    ) -> Result<AttemptResult, AttemptResult> {
        let upload = &attempt.upload;
        let (UploadState::Ready, Some(key), Some(width), Some(height)) =
            (upload.state, &upload.original_key, upload.width, upload.height)
        else {
            return self
                .reject_variant(attempt, Reason::new(ReasonCode::NotReady, "the picture is not there any more"))
                .await;
        };
        if generation != upload.generation {
            return self
                .reject_variant(attempt, Reason::new(ReasonCode::Superseded, "the picture was cropped anew meanwhile"))
                .await;
        }
        let bytes = self.backends.blobs.read(key).await?;
        let plan = render_plans::variant(name, upload.crop, width, height);
        let picture = match self.render(attempt, bytes, plan).await? {
            Ok(picture) => picture,
            Err(rejection) => return self.reject_variant(attempt, Reason::new(rejection.code(), &rejection)).await,
        };
        let made = promote::write_variants(&self.backends, attempt, picture.variants, |_| Some(name)).await?;
        let Some(made) = made.into_iter().next() else {
            return Err(AttemptResult::dead(Reason::new(
                ReasonCode::NothingMade,
                "the engine made nothing of its plan",
            )));
        };
        Ok(match self.backends.records.settle_variant(attempt, generation, &made).await? {
            SettleResult::Superseded => AttemptResult::Done(None),
            _ => AttemptResult::Done(Some(Outcome::Ready)),
        })
    }

    async fn reject_variant(&self, attempt: &Attempt, reason: Reason) -> Result<AttemptResult, AttemptResult> {
        Ok(match self.backends.records.refuse_variant(attempt, &reason).await? {
            SettleResult::Superseded => AttemptResult::Done(None),
            _ => AttemptResult::Done(Some(Outcome::Rejected(reason))),
        })
    }
}
