//! Checks which of the four backends answer, at most once a second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backends::{BackendError, Backends};
use instrument::OutageLog;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Makes the `/readyz` report for a listener other than the API's own.
#[derive(Clone)]
pub struct ReadinessProbe(pub(crate) Arc<Readiness>);

impl ReadinessProbe {
    /// Returns whether requests can be served, and the report as JSON.
    pub async fn report(&self) -> (bool, String) {
        let report = self.0.report().await;
        (report.ready, serde_json::to_string(&report).unwrap_or_default())
    }
}

/// Which backends answer.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(example = json!({"ready": true, "accepting": true,
                          "places": {"blobs": "ok", "queue": "ok", "records": "ok", "staging": "ok"}}))]
pub(crate) struct ReadinessReport {
    /// Whether requests can be served
    pub(crate) ready: bool,
    /// Whether uploads are accepted. They are not while a backend is low on space; other requests are served
    accepting: bool,
    /// For each backend `ok`, or what is wrong
    places: BTreeMap<&'static str, String>,
}

/// Makes reports. Keeps the last report, so that many probes do not cause many pings.
#[derive(Debug)]
pub(crate) struct Readiness {
    backends: Backends,
    last: Mutex<Option<(Instant, ReadinessReport)>>,
    outages: OutageLog,
}

/// How long a backend has to answer, and how long a report is reused.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

impl Readiness {
    pub(crate) fn new(backends: Backends) -> Self {
        Self { backends, last: Mutex::default(), outages: OutageLog::default() }
    }

    /// Asks all backends at once, or returns the last report if it is recent.
    pub(crate) async fn report(&self) -> ReadinessReport {
        let backends = &self.backends;
        let mut last = self.last.lock().await;
        if let Some((at, report)) = last.as_ref()
            && at.elapsed() < PING_TIMEOUT
        {
            return report.clone();
        }
        let (staging, queue, blobs, records, space) = tokio::join!(
            self.check_backend("staging", backends.staging.ping()),
            self.check_backend("queue", backends.queue.ping()),
            self.check_backend("blobs", backends.blobs.ping()),
            self.check_backend("records", backends.records.ping()),
            backends.check_space(0),
        );
        let mut states = BTreeMap::from([staging, queue, blobs, records]);
        // Without the queue an API process still accepts uploads, and the relay publishes their jobs later. If the
        // process became unready, a failure of the broker would be an outage of the whole API.
        let permits_ready = |(place, answer): (&&str, &String)| *place == "queue" || answer == "ok";
        let ready = states.iter().all(permits_ready);
        let accepting = ready && space.is_ok();
        // If a backend is low on space, the process is still ready. The reserve of space is there for reading, and for
        // expiring and deleting, which free space.
        if let Err(low) = space
            && let Some(answer) = states.get_mut(low.backend).filter(|answer| *answer == "ok")
        {
            *answer = BackendError::from(low).probe_status().to_owned();
        }
        let report = ReadinessReport { ready, accepting, places: states };
        *last = Some((Instant::now(), report.clone()));
        report
    }

    /// Checks one backend. The text of its error goes to the log only. The report has a short status.
    async fn check_backend<E: Into<BackendError>>(
        &self,
        backend: &'static str,
        ping: impl Future<Output = Result<(), E>>,
    ) -> (&'static str, String) {
        let answer = match tokio::time::timeout(PING_TIMEOUT, ping).await {
            Ok(Ok(())) => {
                self.outages.record(backend, None);
                "ok"
            }
            Ok(Err(error)) => {
                let error: BackendError = error.into();
                self.outages.record(backend, Some(&error));
                error.probe_status()
            }
            Err(_) => {
                self.outages.record(backend, Some(&"no answer within 1 s"));
                "slow"
            }
        };
        (backend, answer.to_owned())
    }
}
