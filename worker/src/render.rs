//! Renders bytes with the picture engine, within the limits and the time of the settings.

use bytes::Bytes;
use picture::{Rejection, RenderPlan, RenderedPicture};
use records::Attempt;

use crate::attempt_result::AttemptResult;
use crate::job_class::JobClass;
use crate::render_pool::RenderTask;
use crate::worker::Worker;

impl Worker {
    /// Renders the bytes of the attempt's upload, or returns a rejection that no other attempt would change.
    pub(crate) async fn render(
        &self,
        attempt: &Attempt,
        bytes: Bytes,
        plan: RenderPlan,
    ) -> Result<Result<RenderedPicture, Rejection>, AttemptResult> {
        let (limits, time) = (self.settings.pictures.limits(), self.settings.worker.render_timeout);
        let class =
            JobClass::for_render(attempt.message.queue, attempt.upload.render_estimate, self.backends.queue.routing());
        let rendered = match picture::probe(&bytes, &limits) {
            Ok(probe) => self.pool.render(RenderTask { bytes, probe, plan, limits, class }, time).await,
            Err(rejection) => Err(rejection),
        };
        instrument::report_progress();
        match rendered {
            Err(Rejection::Cancelled) => Err(AttemptResult::Retry("the time to render it ran out".to_owned())),
            decided => Ok(decided),
        }
    }
}
