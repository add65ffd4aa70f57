//! Tests engines that are unavailable for a long time, slow, or overloaded.

use std::time::Duration;

use test_support::engine_stack::EngineStack;
use test_support::invariants::query_number;
use test_support::portal::PortalClient;
use test_support::proxy::ProxyState;
use tokio::time::Instant;

use super::faults::{assert_all_ready, upload_many};

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_says_nothing_for_half_a_minute() {
    let Some(stack) = EngineStack::start().await else { return };
    let (api, _worker) = (stack.api(), stack.worker());
    let portal = PortalClient::log_in(&api).await;
    let mut acknowledged = upload_many(&portal, 5, |_| {}).await;
    stack.broker.set(ProxyState::Silent);
    let until = Instant::now() + Duration::from_secs(30);
    while Instant::now() < until {
        acknowledged.extend(upload_many(&portal, 8, |_| {}).await);
    }
    assert!(acknowledged.len() > 20, "an upload does not need the broker: {}", acknowledged.len());
    stack.broker.set(ProxyState::Open);
    assert_all_ready(&stack, &acknowledged).await;
    stack.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_slow() {
    let Some(stack) = EngineStack::start().await else { return };
    let (api, _worker) = (stack.api(), stack.worker());
    let portal = PortalClient::log_in(&api).await;
    stack.store.set(ProxyState::Slow(Duration::from_millis(150)));
    let acknowledged = upload_many(&portal, 20, |_| {}).await;
    assert_eq!(acknowledged.len(), 20, "a slow store still takes uploads");
    assert_all_ready(&stack, &acknowledged).await;
    let attempts = query_number(&stack, "SELECT count(*) FROM events WHERE kind = 'attempt'").await;
    assert_eq!(attempts, 20, "no slow attempt was given up");
    stack.clean_up().await;
}

/// If a store answers 503, clients retry and workers reschedule their jobs. No partial result remains.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_overloaded() {
    let Some(stack) = EngineStack::start().await else { return };
    let api = stack.api();
    let portal = PortalClient::log_in(&api).await;
    let acknowledged = upload_many(&portal, 10, |_| {}).await;
    assert_eq!(acknowledged.len(), 10);
    stack.store.set(ProxyState::Overloaded);
    let refused =
        portal.upload_preferring("respond-async", "a.jpg", test_support::portal::read_picture("astronaut.jpg")).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let ready = portal.get("/readyz").await;
    assert_eq!(ready.status(), 503);
    let report: serde_json::Value = ready.json().await.unwrap();
    assert_ne!(report["places"]["staging"], "ok", "{report}");
    let _worker = stack.worker();
    let postponed = "SELECT least(count(*), 1) FROM events WHERE kind = 'postponed'";
    test_support::invariants::wait_for_number(&stack, postponed, 1).await;
    stack.store.set(ProxyState::Open);
    assert_all_ready(&stack, &acknowledged).await;
    stack.clean_up().await;
}
