//! Liveness, readiness and metrics: `/livez`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::error::{ApiError, Problem};
use crate::http::settings::HttpSettings;
use crate::readiness::{Readiness, ReadinessReport};

/// `GET /livez`: reports that the process answers. It checks nothing else.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "operations",
    operation_id = "livez",
    responses(
        (status = 200, description = "The process answers", body = inline(String), content_type = "text/plain", example = json!("alive")),
    ),
    security(()),
)]
pub(crate) async fn livez() -> &'static str {
    "alive"
}

/// `GET /readyz`: reports which backends answer.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    operation_id = "readyz",
    responses(
        (status = 200, description = "Requests can be served. A queue that is down is named; uploads wait for it", body = ReadinessReport),
        (status = 503, description = "A backend is down without which no request can be served. It is named", body = ReadinessReport),
    ),
    security(()),
)]
pub(crate) async fn readyz(State(readiness): State<Arc<Readiness>>) -> Response {
    let report = readiness.report().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

/// `GET /metrics`: returns metrics in the Prometheus text format, if `http.metrics` is on.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    operation_id = "metrics",
    responses(
        (status = 200, description = "Metrics in the Prometheus text format", body = inline(String), content_type = "text/plain",
            example = json!("cloakroom_uploads_total{media=\"png\"} 1")),
        (status = 404, description = "`http.metrics` is off, which is the default", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn metrics(
    State(http): State<Arc<HttpSettings>>,
    State(metrics): State<PrometheusHandle>,
) -> Response {
    if !http.metrics {
        return ApiError::NotFound("metrics are not answered at this address".to_owned()).into_response();
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render()).into_response()
}
