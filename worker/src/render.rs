//! Having the engine make something of bytes, within the limits and the time of the settings.

use bytes::Bytes;
use upload::Attempt;

use crate::class::Class;
use crate::consume::Worker;
use crate::outcome::Outcome;
use crate::picture::{self, Picture, Plan, Rejection};
use crate::pool::Task;

impl Worker {
    /// What it makes of the bytes of the attempt's upload, or why it does not, which no other attempt would change.
    pub(crate) async fn render(
        &self,
        attempt: &Attempt,
        bytes: Bytes,
        plan: Plan,
    ) -> Result<Result<Picture, Rejection>, Outcome> {
        let (limits, time) = (self.settings.pictures.limits(), self.settings.worker.render_time);
        let class = Class::on_a_thread(attempt.ticket.lane, attempt.upload.estimate, self.places.queue.routing());
        let rendered = match picture::probe(&bytes, &limits) {
            Ok(probe) => self.pool.render(Task { bytes, probe, plan, limits, class }, time).await,
            Err(rejection) => Err(rejection),
        };
        upload::made_progress();
        match rendered {
            Err(Rejection::Stopped) => Err(Outcome::Retry("the time to render it ran out".to_owned())),
            decided => Ok(decided),
        }
    }
}
