//! `rendition.process.v1` and `file.process.v1`: keeps the content of a file exactly as it was uploaded. A picture gets
//! a thumbnail; a picture that cannot be rendered is kept as any other content.

use bytes::Bytes;
use domain::{EventKind, Media, VariantName};
use picture::RenderedPicture;
use records::{Attempt, PictureInfo, ProcessedUpload};

use crate::attempt_result::AttemptResult;
use crate::worker::Worker;
use crate::{promote, render_plans};

/// A larger picture is kept without a thumbnail, because rendering would hold all of its bytes in memory.
const MAX_THUMBNAIL_SOURCE_BYTES: u64 = 32 << 20;

impl Worker {
    /// Processes an upload into a file and settles it.
    pub(crate) async fn process_file(&self, attempt: &mut Attempt) -> Result<AttemptResult, AttemptResult> {
        let upload = &attempt.upload;
        let (bytes, picture) = if upload.media.is_supported_picture() && upload.bytes <= MAX_THUMBNAIL_SOURCE_BYTES {
            let bytes = self.fetch_and_verify(attempt).await?;
            (Some(bytes.clone()), self.render_thumbnail(attempt, bytes).await?)
        } else {
            self.verify_stream(attempt).await?;
            (None, None)
        };
        let shown = picture.as_ref().map(|picture| {
            let served = picture.variants.first().map_or(Media::Jpeg, |variant| variant.media);
            PictureInfo { width: picture.width, height: picture.height, default_media: served }
        });
        let rendered = picture.map_or_else(Vec::new, |picture| picture.variants);
        let name =
            |variant: &picture::RenderedVariant| VariantName::fitting(VariantName::THUMBNAIL_SIZE, variant.media);
        let (original_key, variants) =
            promote::write_with_original(&self.backends, attempt, bytes, rendered, name).await?;
        self.settle(attempt, ProcessedUpload { picture: shown, original_key, variants }).await
    }

    /// Renders the thumbnail if the bytes are a picture that can be shown. If the engine fails, the file is kept
    /// without a thumbnail, because its content is what the client needs.
    async fn render_thumbnail(
        &self,
        attempt: &mut Attempt,
        bytes: Bytes,
    ) -> Result<Option<RenderedPicture>, AttemptResult> {
        let (detail, picture) = match self.try_render(attempt, bytes, render_plans::thumbnail()).await? {
            Ok(picture) => (format!("a thumbnail of {} × {} pixels", picture.width, picture.height), Some(picture)),
            Err(rejection) => (format!("no thumbnail. {rejection}"), None),
        };
        attempt.push_event(self.backends.records.clock().now(), EventKind::Rendered, detail);
        Ok(picture)
    }
}
