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

/// The time between two samples. It is not shorter, because a sample reads whole indexes.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(15);

/// Updates the gauges until `stop`.
pub(crate) async fn sample(backends: Backends, stop: CancellationToken) {
    let mut tick = tokio::time::interval(SAMPLE_INTERVAL);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        collect(&backends).await;
    }
}

/// Updates every gauge once.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; 2^53 uploads are never reached")]
async fn collect(backends: &Backends) {
    for queue in QueueName::ALL {
        if let Ok(depth) = backends.queue.depth(queue).await {
            gauge!("cloakroom_queue_depth", "queue" => queue.as_str()).set(depth as f64);
        }
    }
    let stats = match backends.records.stats().await {
        Ok(stats) => stats,
        Err(error) => return tracing::debug!(%error, "the statistics of the records cannot be read"),
    };
    for state in
        [UploadState::Accepted, UploadState::Ready, UploadState::Rejected, UploadState::Failed, UploadState::Expired]
    {
        gauge!("cloakroom_uploads", "state" => state.as_str()).set(stats.in_state(state) as f64);
    }
    gauge!("cloakroom_uploads_in_flight").set(stats.in_flight as f64);
    // This gauge must be 0. Alert if it is not 0 for a minute.
    gauge!("cloakroom_uploads_unaccounted").set(stats.unaccounted() as f64);
    gauge!("cloakroom_jobs_open").set(stats.queued_jobs as f64);
    gauge!("cloakroom_jobs_dead").set(stats.dead_jobs as f64);
    gauge!("cloakroom_outbox_unpublished").set(stats.unpublished as f64);
    gauge!("cloakroom_ledger_condemned").set(stats.pending_deletions as f64);
    gauge!("cloakroom_staged_bytes").set(stats.staged_bytes as f64);
    let now = backends.records.clock().now();
    let age = stats.oldest_queued_at.map_or(0.0, |at| now.duration_since(at).as_secs_f64());
    gauge!("cloakroom_jobs_oldest_seconds").set(age.max(0.0));
}
