//! Tests that one trace goes from the request through the queue into the worker and its backends.

use test_support::portal::{PortalClient, read_picture};
use test_support::process::{DataFolder, ServerProcess};

use crate::trace_collector::{Span, TraceCollector};

/// The id of a trace that a portal began.
pub const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Uploads a picture as part of the trace with the id `TRACE`.
pub async fn upload_traced(portal: &PortalClient) {
    let part = reqwest::multipart::Part::bytes(read_picture("astronaut.jpg")).file_name("astronaut.jpg");
    let request = portal.request(reqwest::Method::POST, "/api/dropbox/pictures").header("traceparent", TRACEPARENT);
    let form = reqwest::multipart::Form::new().part("Profile", part);
    let answer = request.header("prefer", "wait=30").multipart(form).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// Asserts that the received spans are one tree with every step, whose root is the portal's span.
pub fn assert_complete_trace(collector: &TraceCollector) {
    let spans = collector.trace(TRACE);
    let path_to_root = |span: &Span| {
        let mut path = vec![span.name.clone()];
        let mut parent = span.parent.clone();
        while let Some(next) = spans.get(&parent) {
            path.push(next.name.clone());
            parent.clone_from(&next.parent);
        }
        assert_eq!(parent, "b7ad6b7169203331", "{span:?} does not belong to the portal's span");
        path
    };
    let paths: Vec<_> = spans.values().map(path_to_root).collect();
    for (hop, within) in [
        ("staging put", "POST /api/dropbox/pictures"),
        ("records admit", "POST /api/dropbox/pictures"),
        ("queue publish", "POST /api/dropbox/pictures"),
        ("picture.process.v1", "POST /api/dropbox/pictures"),
        ("records begin_attempt", "picture.process.v1"),
        ("staging get", "picture.process.v1"),
        ("blobs put", "picture.process.v1"),
        ("records settle_ready", "picture.process.v1"),
    ] {
        let there = paths.iter().any(|path| path[0] == hop && path[1..].iter().any(|name| name == within));
        assert!(there, "no {hop} within {within}: {paths:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_from_the_request_to_the_stores() {
    let collector = TraceCollector::start();
    let folder = DataFolder::new();
    let process = ServerProcess::start_all_in_one(&folder, &[("CLOAKROOM__TRACES__ENDPOINT", &collector.endpoint)]);
    upload_traced(&PortalClient::log_in(&process).await).await;
    assert_eq!(process.stop(), Some(0));
    assert_complete_trace(&collector);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_works_without_a_trace_collector() {
    let folder = DataFolder::new();
    let process = ServerProcess::start_all_in_one(&folder, &[("CLOAKROOM__TRACES__ENDPOINT", "http://127.0.0.1:1")]);
    upload_traced(&PortalClient::log_in(&process).await).await;
    assert_eq!(process.stop(), Some(0));
}
