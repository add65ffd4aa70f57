//! Engines that are away for long, slow, or have no time.

use std::time::Duration;

use tokio::time::Instant;

use super::faults::{all_are_ready, hand_in};
use super::oracle::count;
use super::proxy::Way;
use super::stack::Stack;
use crate::portal::Portal;

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_says_nothing_for_half_a_minute() {
    let Some(stack) = Stack::start().await else { return };
    let (api, _worker) = (stack.api(), stack.worker());
    let portal = Portal::log_in(&api).await;
    let mut acknowledged = hand_in(&portal, 5, |_| {}).await;
    stack.broker.set(Way::Silent);
    let until = Instant::now() + Duration::from_secs(30);
    while Instant::now() < until {
        acknowledged.extend(hand_in(&portal, 8, |_| {}).await);
    }
    assert!(acknowledged.len() > 20, "an upload does not need the broker: {}", acknowledged.len());
    stack.broker.set(Way::Open);
    all_are_ready(&stack, &acknowledged).await;
    stack.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_slow() {
    let Some(stack) = Stack::start().await else { return };
    let (api, _worker) = (stack.api(), stack.worker());
    let portal = Portal::log_in(&api).await;
    stack.store.set(Way::Slow(Duration::from_millis(150)));
    let acknowledged = hand_in(&portal, 20, |_| {}).await;
    assert_eq!(acknowledged.len(), 20, "slow is not away");
    all_are_ready(&stack, &acknowledged).await;
    let attempts = count(&stack, "SELECT count(*) FROM events WHERE what = 'attempt'").await;
    assert_eq!(attempts, 20, "nothing was given up that only took its time");
    stack.end().await;
}

/// A store that answers 503 makes clients wait and come again, and workers put their jobs off; nothing is half there.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_has_no_time() {
    let Some(stack) = Stack::start().await else { return };
    let api = stack.api();
    let portal = Portal::log_in(&api).await;
    let acknowledged = hand_in(&portal, 10, |_| {}).await;
    assert_eq!(acknowledged.len(), 10);
    stack.store.set(Way::Overloaded);
    let refused = portal.upload_preferring("respond-async", "a.jpg", crate::portal::picture("astronaut.jpg")).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let ready = portal.get("/readyz").await;
    assert_eq!(ready.status(), 503);
    let places: serde_json::Value = ready.json().await.unwrap();
    assert_ne!(places["places"]["staging"], "ok", "{places}");
    let _worker = stack.worker();
    super::oracle::until(&stack, "SELECT least(count(*), 1) FROM events WHERE what = 'put off'", 1).await;
    stack.store.set(Way::Open);
    all_are_ready(&stack, &acknowledged).await;
    stack.end().await;
}
