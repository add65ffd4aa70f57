//! Whether we are alive, whether we can work, and the numbers: `/livez`, `/readyz`, `/metrics`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use upload::Places;

use crate::desk::Desk;

/// `GET /livez`: the process answers; nothing else is asked.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "operations",
    operation_id = "livez",
    responses(
        (status = 200, description = "The process answers", body = String, content_type = "text/plain"),
    ),
    security(()),
)]
pub(crate) async fn livez() -> &'static str {
    "alive"
}

/// Which places answer.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
struct Report {
    ready: bool,
    /// `ok`, or what is wrong, by place.
    places: BTreeMap<&'static str, String>,
}

/// The last report, so that a crowd of probes does not become a crowd of pings.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Report)>>);

/// How long a place has to answer, and how long the answer holds.
const SOON: Duration = Duration::from_secs(1);

impl Readiness {
    async fn report(&self, places: &Places) -> Report {
        let mut last = self.0.lock().await;
        if let Some((at, report)) = last.as_ref()
            && at.elapsed() < SOON
        {
            return report.clone();
        }
        let (staging, queue, blobs, records) = tokio::join!(
            ask("staging", places.staging.ping()),
            ask("queue", places.queue.ping()),
            ask("blobs", places.blobs.ping()),
            ask("records", places.records.ping()),
        );
        let places = BTreeMap::from([staging, queue, blobs, records]);
        // Without its queue an api takes uploads in all the same, and the relay publishes them later; to take it out of
        // service for that would turn a broker's trouble into everybody's.
        let needed = |(place, answer): (&&str, &String)| *place == "queue" || answer == "ok";
        let report = Report { ready: places.iter().all(needed), places };
        *last = Some((Instant::now(), report.clone()));
        report
    }
}

/// One place's answer. Its own words are for the log; whoever probes learns which place it is.
async fn ask<E: Display>(place: &'static str, ping: impl Future<Output = Result<(), E>>) -> (&'static str, String) {
    let answer = match tokio::time::timeout(SOON, ping).await {
        Ok(Ok(())) => "ok",
        Ok(Err(error)) => {
            tracing::warn!(place, %error, "{place} does not answer: {error}");
            "down"
        }
        Err(_) => {
            tracing::warn!(place, "{place} did not answer within a second");
            "slow"
        }
    };
    (place, answer.to_owned())
}

/// `GET /readyz`: which places answer; 503 when one is down without which no request can be served.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    operation_id = "readyz",
    responses(
        (status = 200, description = "Requests can be served; a queue that is down is named, and uploads wait for it", body = Report),
        (status = 503, description = "A place is down without which nothing can be served; it is named", body = Report),
    ),
    security(()),
)]
pub(crate) async fn readyz(State(desk): State<Desk>) -> Response {
    let report = desk.readiness.report(&desk.places).await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

/// `GET /metrics`, in Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    operation_id = "metrics",
    responses(
        (status = 200, description = "Numbers in Prometheus' text format", body = String, content_type = "text/plain"),
    ),
    security(()),
)]
pub(crate) async fn metrics(State(desk): State<Desk>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], desk.metrics.render()).into_response()
}
