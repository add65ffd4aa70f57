//! What a [`super::RenderPool`] tells `/metrics`: how many pictures wait, how many are under work, how much memory those may
//! hold, and how long each took.
//!
//! A gauge goes down again with the thing that counted it, however that ends: finished, stopped, or given up by whoever
//! waited.

use std::time::Duration;

use metrics::{Gauge, counter, gauge, histogram};
use upload::Media;

/// Something that is counted for as long as it lives.
#[derive(Debug)]
pub(super) struct GaugeGuard(Gauge, f64);

impl GaugeGuard {
    /// A picture that waits, for memory or for a thread.
    pub(super) fn waiting() -> Self {
        Self::new(gauge!("cloakroom_pictures_waiting"), 1.0)
    }

    /// A picture on a thread.
    pub(super) fn rendering() -> Self {
        Self::new(gauge!("cloakroom_pictures_rendering"), 1.0)
    }

    /// So many bytes of the budget, held by a picture that may begin.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; nobody has 2^53 bytes")]
    pub(super) fn memory(bytes: u64) -> Self {
        Self::new(gauge!("cloakroom_pictures_memory_bytes"), bytes as f64)
    }

    fn new(gauge: Gauge, amount: f64) -> Self {
        gauge.increment(amount);
        Self(gauge, amount)
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.decrement(self.1);
    }
}

/// What all pictures together may hold.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; nobody has 2^53 bytes")]
pub(super) fn set_memory_budget(bytes: u64) {
    gauge!("cloakroom_pictures_memory_budget_bytes").set(bytes as f64);
}

/// A picture is done: `outcome` is `taken` or the code of its rejection.
pub(super) fn record_render(media: Media, outcome: &'static str, took: Duration) {
    counter!("cloakroom_pictures_total", "media" => media.name(), "outcome" => outcome).increment(1);
    histogram!("cloakroom_picture_seconds", "media" => media.name()).record(took);
}
