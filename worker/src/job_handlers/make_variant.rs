//! `picture.variant.v1`: makes one more size or format of a ready picture, because a client requested it.

use domain::{Outcome, Reason, ReasonCode, UploadState, VariantName};
use records::{Attempt, SettleResult};

use crate::attempt_result::AttemptResult;
use crate::worker::Worker;
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
            let reason = Reason::new(ReasonCode::NotReady, "the picture does not exist any more");
            return self.reject_variant(attempt, reason).await;
        };
        let Some(crop) = upload.crop_of(generation, name) else {
            let message = "the picture has been cropped again since this variant was requested";
            return self.reject_variant(attempt, Reason::new(ReasonCode::Superseded, message)).await;
        };
        let bytes = self.backends.blobs.read(key).await?;
        let plan = render_plans::variant(name, crop, (width, height));
        let picture = match self.render(attempt, bytes, plan).await? {
            Ok(picture) => picture,
            Err(rejection) => return self.reject_variant(attempt, Reason::new(rejection.code(), &rejection)).await,
        };
        let variants = promote::write_variants(&self.backends, attempt, picture.variants, |_| Some(name)).await?;
        let Some(variant) = variants.into_iter().next() else {
            let reason = Reason::new(ReasonCode::NothingMade, "the picture engine returned no variant");
            return Err(AttemptResult::dead(reason));
        };
        Ok(match self.backends.records.settle_variant(attempt, generation, &variant).await? {
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
