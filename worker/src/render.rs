//! Having the engine make something of bytes, within the limits and the time of the settings.

use bytes::Bytes;

use crate::consume::Worker;
use crate::outcome::Outcome;
use crate::picture::{self, Picture, Plan, Rejection};

impl Worker {
    /// What it makes of them, or why it does not, which no other attempt would change.
    pub(crate) async fn render(&self, bytes: Bytes, plan: Plan) -> Result<Result<Picture, Rejection>, Outcome> {
        let (limits, time) = (self.settings.pictures.limits(), self.settings.worker.render_time);
        let rendered = match picture::probe(&bytes, &limits) {
            Ok(probe) => self.pool.render(bytes, probe, plan, limits, time).await,
            Err(rejection) => Err(rejection),
        };
        upload::made_progress();
        match rendered {
            Err(Rejection::Stopped) => Err(Outcome::Retry("the time to render it ran out".to_owned())),
            decided => Ok(decided),
        }
    }
}
