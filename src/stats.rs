//! Gauges of the records and the queue for `/metrics`:
//!
//! - the number of uploads and jobs in each state,
//! - the depth of the queues,
//! - the delay of the outbox,
//! - whether every upload is accounted for.

use std::time::Duration;

use backends::Backends;
use domain::{QueueName, UploadState};
use metrics::gauge;
use tokio_util::sync::CancellationToken;

/// The time between two samples. Sampling reads whole indexes.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(15);

/// Updates the gauges until `stop`.
pub(crate) async fn sample(places: Backends, stop: CancellationToken) {
    let mut tick = tokio::time::interval(SAMPLE_INTERVAL);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        collect(&places).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; nobody has 2^53 uploads")]
async fn collect(places: &Backends) {
    for lane in QueueName::ALL {
        if let Ok(depth) = places.queue.depth(lane).await {
            gauge!("cloakroom_queue_depth", "queue" => lane.as_str()).set(depth as f64);
        }
    }
    let census = match places.records.stats().await {
        Ok(census) => census,
        Err(error) => return tracing::debug!(%error, "the records cannot be counted"),
    };
    for state in
        [UploadState::Accepted, UploadState::Ready, UploadState::Rejected, UploadState::Failed, UploadState::Expired]
    {
        gauge!("cloakroom_uploads", "state" => state.as_str()).set(census.in_state(state) as f64);
    }
    gauge!("cloakroom_uploads_in_flight").set(census.in_flight as f64);
    // Must be 0; alert if it is not 0 for a minute.
    gauge!("cloakroom_uploads_unaccounted").set(census.unaccounted() as f64);
    gauge!("cloakroom_jobs_open").set(census.queued_jobs as f64);
    gauge!("cloakroom_jobs_dead").set(census.dead_jobs as f64);
    gauge!("cloakroom_outbox_unpublished").set(census.unpublished as f64);
    gauge!("cloakroom_ledger_condemned").set(census.pending_deletions as f64);
    gauge!("cloakroom_staged_bytes").set(census.staged_bytes as f64);
    let now = places.records.clock().now();
    let age = census.oldest_queued_at.map_or(0.0, |at| now.duration_since(at).as_secs_f64());
    gauge!("cloakroom_jobs_oldest_seconds").set(age.max(0.0));
}
