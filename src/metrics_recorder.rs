//! The recorder behind `/metrics`: one for the process, in Prometheus' text format.

use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Bucket limits in seconds, from a response that needs no disk or network to a slow store.
const HISTOGRAM_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Installs the recorder and starts its periodic upkeep.
///
/// # Errors
/// If the bucket limits are invalid or a recorder is installed already.
pub(crate) fn install_recorder() -> anyhow::Result<PrometheusHandle> {
    let recorder = PrometheusBuilder::new()
        .set_buckets(&HISTOGRAM_BUCKETS)?
        .install_recorder()
        .context("the metrics recorder could not be installed")?;
    let handle = recorder.clone();
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_secs(10));
        loop {
            tick.tick().await;
            handle.run_upkeep();
        }
    });
    Ok(recorder)
}
