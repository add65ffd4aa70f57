//! The metrics of a [`super::RenderPool`]: waiting pictures, pictures in progress, the memory these may use, and the
//! time each took.
//!
//! A gauge decreases when its guard is dropped. That happens when the picture is finished or stopped, or when its
//! caller no longer waits.

use std::time::Duration;

use domain::Media;
use metrics::{Gauge, counter, gauge, histogram};

/// Adds an amount to a gauge when it is created, and subtracts it when it is dropped.
#[derive(Debug)]
pub(super) struct GaugeGuard(Gauge, f64);

impl GaugeGuard {
    /// Counts a picture that waits for memory or for a thread.
    pub(super) fn waiting() -> Self {
        Self::new(gauge!("cloakroom_pictures_waiting"), 1.0)
    }

    /// Counts a picture that is rendered on a thread.
    pub(super) fn rendering() -> Self {
        Self::new(gauge!("cloakroom_pictures_rendering"), 1.0)
    }

    /// Counts the bytes of the budget that a picture in progress may use.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; 2^53 bytes are never reached")]
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

/// Sets the gauge of the memory budget for all pictures together.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; 2^53 bytes are never reached")]
pub(super) fn set_memory_budget(bytes: u64) {
    gauge!("cloakroom_pictures_memory_budget_bytes").set(bytes as f64);
}

/// Counts a finished picture and records how long it took. `outcome` is `taken` or the code of its rejection. The code
/// `engine_failed` counts failures of Cloakroom itself.
pub(super) fn record_render(media: Media, outcome: String, took: Duration) {
    counter!("cloakroom_pictures_total", "media" => media.name(), "outcome" => outcome).increment(1);
    histogram!("cloakroom_picture_seconds", "media" => media.name()).record(took);
}
