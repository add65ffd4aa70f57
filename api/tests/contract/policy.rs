//! Tests authorization by the portal's own policy decision point, over AuthZEN.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use domain::{Resource, Secret, Service};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::test_server::{FED, TestServer, serve_endless_response, serve_portal};

#[derive(Default)]
struct PolicyServer {
    request_count: AtomicUsize,
    /// The status of its responses. 0 means 200.
    status: AtomicU16,
}

/// Permits Jane to claim for the app `travel`, and denies everything else.
async fn evaluate(
    State(policy_server): State<Arc<PolicyServer>>,
    headers: HeaderMap,
    Json(question): Json<Value>,
) -> Response {
    policy_server.request_count.fetch_add(1, Ordering::SeqCst);
    let status = StatusCode::from_u16(policy_server.status.load(Ordering::SeqCst)).unwrap_or(StatusCode::OK);
    assert_eq!(headers["authorization"], "Bearer hunter2");
    assert_eq!(question["action"]["name"], "claim");
    let permitted = question["subject"] == json!({"type": "user", "id": format!("jane.{FED}")})
        && question["resource"] == json!({"type": "apps", "id": format!("travel.{FED}")});
    (status, Json(json!({"decision": permitted, "context": {"reason": "because"}}))).into_response()
}

/// Starts a server whose permissions this policy server decides. Returns the server, and the task of the policy
/// server.
async fn start_with_policy(policy_server: &Arc<PolicyServer>) -> (TestServer, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/access/v1/evaluation", post(evaluate)).with_state(Arc::clone(policy_server));
    let portal_task = tokio::spawn(async move { serve_portal(listener, router).await });
    let server = TestServer::with_settings(|settings| {
        settings.realm.policy.url = url;
        settings.realm.policy.token = Secret::new("hunter2");
    })
    .await;
    (server, portal_task)
}

#[tokio::test]
async fn the_policy_server_decides_who_sees_a_claimed_upload() {
    let (server, _portal_task) = start_with_policy(&Arc::default()).await;
    let (jane, joe, admin) = (server.login("jane").await, server.login("joe").await, server.login("admin").await);
    let travel = Resource { service: Service::Apps, id: "travel".to_owned() };
    server.backends.records.grant_resource(&travel, "joe").await.unwrap();
    let id = admin.upload_picture().await;
    assert_eq!(admin.claim("apps/travel", &id).await.status(), 200);
    let path = format!("/uploads/{id}");
    assert_eq!(jane.get(&path).await.status(), 200, "the policy server permits her to claim for the app");
    assert_eq!(joe.get(&path).await.status(), 404, "the policy server decides, and not his grant in the records");
}

#[tokio::test]
async fn the_policy_server_decides_and_without_its_answer_nothing_is_permitted() {
    let policy_server = Arc::new(PolicyServer::default());
    let (server, portal_task) = start_with_policy(&policy_server).await;
    let set_name = async |who: &str, resource: &str| {
        let login = server.login(who).await;
        let request = login.request(Method::PUT, &format!("/api/{resource}.{FED}")).json(&json!({"Name": "x"}));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(set_name("jane", "apps/travel").await, 200);
    assert_eq!(set_name("joe", "apps/travel").await, 403);
    assert_eq!(
        set_name("joe", "users/joe").await,
        403,
        "the policy server decides alone, even about a user's own resource"
    );
    assert_eq!(set_name("admin", "apps/other").await, 200, "the policy server is not asked about site administrators");
    assert_eq!(set_name("jane", "apps/travel").await, 200);
    assert_eq!(policy_server.request_count.load(Ordering::SeqCst), 3, "decisions are cached for a while");
    server.clock.advance(Duration::from_secs(30));
    policy_server.status.store(500, Ordering::SeqCst);
    assert_eq!(set_name("jane", "apps/travel").await, 503);
    policy_server.status.store(0, Ordering::SeqCst);
    assert_eq!(set_name("jane", "apps/travel").await, 200);
    portal_task.abort();
    portal_task.await.ok();
    server.clock.advance(Duration::from_secs(30));
    assert_eq!(set_name("jane", "apps/travel").await, 503);
}

/// The maximum number of bytes that the kernel and the client may buffer. A valid answer is far smaller.
const MAX_BUFFERED_BYTES: u64 = 64 << 20;

#[tokio::test]
async fn an_endless_decision_permits_nothing() {
    for pause in [Duration::ZERO, Duration::from_millis(20)] {
        let (url, sent) = serve_endless_response(pause).await;
        let server = TestServer::with_settings(|settings| {
            settings.realm.policy.url = url;
            settings.realm.policy.timeout = Duration::from_secs(if pause.is_zero() { 60 } else { 1 });
        })
        .await;
        let jane = server.login("jane").await;
        let request = jane.request(Method::PUT, &format!("/api/apps/travel.{FED}")).json(&json!({"Name": "x"}));
        assert_eq!(request.send().await.unwrap().status(), 503);
        assert!(sent.load(Ordering::SeqCst) < MAX_BUFFERED_BYTES, "{} bytes were read", sent.load(Ordering::SeqCst));
    }
}
