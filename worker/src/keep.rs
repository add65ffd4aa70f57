//! `rendition.process.v1` and `file.process.v1`: what belongs to a file is kept exactly as it came. Its digest is checked,
//! a picture gets a thumbnail, and a picture that cannot be shown is content like any other.

use futures::TryStreamExt;
use upload::{Attempt, Hasher, Made, Media, Reason, Shown, State, StoreError, VariantName};

use crate::consume::Worker;
use crate::outcome::Outcome;
use crate::picture::{self, Picture, Rejection};
use crate::{plan, promote};

/// A picture of more bytes than this is kept without a thumbnail: it would be whole in memory.
const LARGEST_SHOWN: u64 = 32 << 20;

impl Worker {
    /// Settles an upload into a file, whichever way.
    pub(crate) async fn keep(&self, attempt: &mut Attempt) -> Outcome {
        match self.try_to_keep(attempt).await {
            Ok(outcome) | Err(outcome) => outcome,
        }
    }

    async fn try_to_keep(&self, attempt: &mut Attempt) -> Result<Outcome, Outcome> {
        if attempt.upload.state != State::Accepted {
            return Err(Outcome::Dead(Reason::new("settled_before", "the upload was settled before its job ran")));
        }
        self.check_digest(attempt).await?;
        let picture = self.thumbnail(attempt).await?;
        let original = format!("{}original", attempt.prefix);
        self.places.blobs.adopt(&self.places.staging, &attempt.upload.staged_key, &original).await?;
        let mut made = Made { shown: None, original_key: original, variants: Vec::new() };
        if let Some(picture) = picture {
            let served = picture.variants.first().map_or(Media::Jpeg, |made| made.media);
            made.shown = Some(Shown { width: picture.width, height: picture.height, served });
            let name = |made: &crate::picture::Variant, _| VariantName::fitting(plan::THUMBNAIL, made.media);
            made.variants = promote::variants(&self.places, attempt, picture.variants, name).await?;
        }
        attempt.note(self.places.records.clock().now(), "promoted", format!("{} objects", made.variants.len() + 1));
        self.settle(attempt, made).await
    }

    /// Whether these are the bytes that were acknowledged, read piece by piece.
    async fn check_digest(&self, attempt: &mut Attempt) -> Result<(), Outcome> {
        let (mut hasher, mut bytes) = (Hasher::new(), 0_u64);
        let mut pieces = match self.places.staging.stream(&attempt.upload.staged_key).await {
            Err(error @ StoreError::Missing { .. }) => return Err(Outcome::Dead(Reason::new("bytes_lost", error))),
            other => other?,
        };
        while let Some(piece) = pieces.try_next().await? {
            hasher.update(&piece);
            bytes += piece.len() as u64;
        }
        if hasher.finish() != attempt.upload.sha256 {
            let why =
                format!("staging gave back {bytes} bytes that are not the {} that were sent", attempt.upload.bytes);
            return Err(Outcome::Dead(Reason::new("bytes_damaged", why)));
        }
        attempt.note(self.places.records.clock().now(), "validated", format!("{bytes} bytes, as they were sent"));
        Ok(())
    }

    /// The thumbnail, where the bytes are a picture that can be shown.
    async fn thumbnail(&self, attempt: &mut Attempt) -> Result<Option<Picture>, Outcome> {
        let upload = &attempt.upload;
        if !upload.media.accepted() || upload.bytes > LARGEST_SHOWN {
            return Ok(None);
        }
        let bytes = self.places.staging.read(&upload.staged_key).await?;
        let (limits, time) = (self.settings.pictures.limits(), self.settings.worker.render_time);
        let rendered = match picture::probe(&bytes, &limits) {
            Ok(probe) => self.pool.render(bytes, probe, plan::thumbnail(), limits, time).await,
            Err(rejection) => Err(rejection),
        };
        let (what, picture) = match rendered {
            Ok(picture) => (format!("a thumbnail of {} × {} pixels", picture.width, picture.height), Some(picture)),
            Err(Rejection::Stopped) => return Err(Outcome::Retry("the time to render it ran out".to_owned())),
            Err(rejection) => (format!("no thumbnail: {rejection}"), None),
        };
        attempt.note(self.places.records.clock().now(), "rendered", what);
        Ok(picture)
    }
}
