//! Renders bytes with the picture engine, within the limits and the time limit that the settings give.

use bytes::Bytes;
use picture::{Rejection, RenderPlan, RenderedPicture};
use records::Attempt;

use crate::attempt_result::AttemptResult;
use crate::job_class::JobClass;
use crate::render_pool::RenderTask;
use crate::worker::Worker;

impl Worker {
    /// Renders the bytes of the attempt's upload, or returns a rejection that no other attempt would change. If the
    /// engine fails, the attempt fails and the upload is not rejected: Cloakroom is at fault, and the file may be
    /// correct.
    pub(crate) async fn render(
        &self,
        attempt: &Attempt,
        bytes: Bytes,
        plan: RenderPlan,
    ) -> Result<Result<RenderedPicture, Rejection>, AttemptResult> {
        match self.try_render(attempt, bytes, plan).await? {
            // The events of the upload show this text to clients, so the detail stays in the log.
            Err(Rejection::EngineFailed { .. }) => {
                Err(AttemptResult::Retry("the picture engine failed; the log of the worker has the detail".to_owned()))
            }
            decided => Ok(decided),
        }
    }

    /// Like [`render`](Self::render), but returns a failure of the engine as a rejection, for a caller that can do
    /// without the picture. The failure is logged here. The pool counts it.
    pub(crate) async fn try_render(
        &self,
        attempt: &Attempt,
        bytes: Bytes,
        plan: RenderPlan,
    ) -> Result<Result<RenderedPicture, Rejection>, AttemptResult> {
        let (limits, timeout) = (self.settings.pictures.limits(), self.settings.worker.render_timeout);
        let class =
            JobClass::for_render(attempt.message.queue, attempt.upload.render_estimate, self.backends.queue.routing());
        let rendered = match picture::probe(&bytes, &limits) {
            Ok(probe) => self.pool.render(RenderTask { bytes, probe, plan, limits, class }, timeout).await,
            Err(rejection) => Err(rejection),
        };
        instrument::report_progress();
        match rendered {
            Err(Rejection::Cancelled) => {
                Err(AttemptResult::Retry(format!("rendering took longer than {timeout:?} (worker.render_timeout)")))
            }
            Err(Rejection::EngineFailed { detail }) => {
                let media = attempt.upload.media.name();
                tracing::error!(media, error = detail, "the picture engine failed; this is a fault of this program");
                Ok(Err(Rejection::EngineFailed { detail }))
            }
            decided => Ok(decided),
        }
    }
}

#[cfg(test)]
mod engine_panics;
