//! `rendition.process.v1` and `file.process.v1`: what belongs to a file is kept exactly as it came. A picture gets a
//! thumbnail, and a picture that cannot be shown is content like any other.

use bytes::Bytes;
use upload::{Attempt, Made, Media, Shown, VariantName};

use crate::consume::Worker;
use crate::outcome::Outcome;
use crate::picture::{self, Picture};
use crate::{plan, promote};

/// A picture of more bytes than this is kept without a thumbnail: it would be whole in memory.
const LARGEST_SHOWN: u64 = 32 << 20;

impl Worker {
    /// Settles an upload into a file, whichever way.
    pub(crate) async fn keep(&self, attempt: &mut Attempt) -> Result<Outcome, Outcome> {
        let upload = &attempt.upload;
        let (bytes, picture) = if upload.media.accepted() && upload.bytes <= LARGEST_SHOWN {
            let bytes = self.pick_up(attempt).await?;
            (Some(bytes.clone()), self.thumbnail(attempt, bytes).await?)
        } else {
            self.look_over(attempt).await?;
            (None, None)
        };
        let shown = picture.as_ref().map(|picture| {
            let served = picture.variants.first().map_or(Media::Jpeg, |made| made.media);
            Shown { width: picture.width, height: picture.height, served }
        });
        let rendered = picture.map_or_else(Vec::new, |picture| picture.variants);
        let name = |made: &picture::Variant| VariantName::fitting(plan::THUMBNAIL, made.media);
        let (original_key, variants) = promote::with_original(&self.places, attempt, bytes, rendered, name).await?;
        self.settle(attempt, Made { shown, original_key, variants }).await
    }

    /// The thumbnail, where the bytes are a picture that can be shown.
    async fn thumbnail(&self, attempt: &mut Attempt, bytes: Bytes) -> Result<Option<Picture>, Outcome> {
        let (what, picture) = match self.render(attempt, bytes, plan::thumbnail()).await? {
            Ok(picture) => (format!("a thumbnail of {} × {} pixels", picture.width, picture.height), Some(picture)),
            Err(rejection) => (format!("no thumbnail: {rejection}"), None),
        };
        attempt.note(self.places.records.clock().now(), "rendered", what);
        Ok(picture)
    }
}
