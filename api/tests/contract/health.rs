//! Tests `/livez`, `/readyz`, `/metrics`, and paths that do not exist.

use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::Method;
use serde_json::Value;

use crate::test_server::{TestServer, header};

#[tokio::test]
async fn the_probes_answer_and_unknown_paths_get_404() {
    let server = TestServer::new().await;
    let get = async |path: &str| server.anonymous(Method::GET, path).send().await.unwrap();
    assert_eq!(get("/livez").await.status(), 200);
    let ready = get("/readyz").await;
    assert_eq!(ready.status(), 200);
    let report: Value = ready.json().await.unwrap();
    assert_eq!(report["ready"], true);
    assert_eq!(report["places"]["records"], "ok");
    assert_eq!(get("/metrics").await.status(), 404, "clients do not see the metrics");
    let nothing = get("/nothing/here").await;
    assert_eq!(nothing.status(), 404);
    assert_eq!(header(&nothing, "content-type"), "application/problem+json");
}

#[tokio::test]
async fn the_api_serves_metrics_if_a_setting_allows_it() {
    let server = TestServer::with_settings(|settings| settings.http.metrics = true).await;
    let metrics = server.anonymous(Method::GET, "/metrics").send().await.unwrap();
    assert_eq!((metrics.status().as_u16(), header(&metrics, "content-type")), (200, "text/plain; version=0.0.4"));
}

#[tokio::test]
async fn readyz_names_a_backend_that_is_down() {
    let server = TestServer::new().await;
    server.backends.records.clone().close().await.unwrap();
    let response = server.anonymous(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(response.status(), 503);
    let report: Value = response.json().await.unwrap();
    assert_eq!((&report["places"]["records"], &report["places"]["blobs"]), (&"down".into(), &"ok".into()));
}

#[tokio::test]
async fn unknown_methods_share_one_label() {
    // The recorder belongs to this thread. A test has one thread, so everything that the api counts is counted here.
    let recorder = PrometheusBuilder::new().build_recorder();
    let counts = recorder.handle();
    let _counting = metrics::set_default_local_recorder(&recorder);
    let server = TestServer::new().await;
    for method in ["GET", "PATCH", "BREW", "get", &"X".repeat(4000)] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        server.anonymous(method, "/nothing/here").send().await.unwrap();
    }
    let counted = counts.render();
    let count_of = |method: &str| {
        let series = format!("cloakroom_http_requests_total{{route=\"none\",method=\"{method}\",status=\"404\"}} ");
        counted.lines().find_map(|line| line.strip_prefix(&series))
    };
    assert_eq!(
        (count_of("GET"), count_of("PATCH"), count_of("_OTHER")),
        (Some("1"), Some("1"), Some("3")),
        "{counted:.4000}"
    );
    assert!(!counted.contains("BREW") && !counted.contains("XXX"));
}
