//! Faults in real processes on real engines: every acknowledged upload still reaches its final state.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use test_support::engine_stack::EngineStack;
use test_support::invariants::{OutcomeCounts, query_number, settle_and_check};
use test_support::portal::{PortalClient, read_picture};
use test_support::proxy::ProxyState;

/// Uploads `many` pictures without waiting for outcomes, eight at a time, and returns the numbers
/// of the acknowledged ones. After each acknowledgement it calls `meanwhile` with the count so far.
pub async fn upload_many(portal: &PortalClient, many: usize, mut meanwhile: impl FnMut(usize)) -> Vec<String> {
    let photograph = read_picture("astronaut.jpg");
    let (mut acknowledged, mut sent) = (Vec::new(), 0);
    let mut uploads = FuturesUnordered::new();
    loop {
        while sent < many && uploads.len() < 8 {
            uploads.push(portal.try_upload("respond-async", "astronaut.jpg", photograph.clone()));
            sent += 1;
        }
        let Some(answer) = uploads.next().await else { return acknowledged };
        if let Ok(answer) = answer
            && answer.status().is_success()
            && let Ok(number) = answer.text().await
        {
            acknowledged.push(number);
            meanwhile(acknowledged.len());
        }
    }
}

pub async fn assert_all_ready(stack: &EngineStack, acknowledged: &[String]) {
    let ends = settle_and_check(stack, acknowledged).await;
    assert_eq!(ends, OutcomeCounts { ready: acknowledged.len(), ..OutcomeCounts::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_killed_in_the_middle_of_its_work() {
    let Some(stack) = EngineStack::start().await else { return };
    let (api, _survivor) = (stack.api(), stack.worker());
    let portal = PortalClient::log_in(&api).await;
    let mut victims = vec![stack.worker(), stack.worker()];
    let acknowledged = upload_many(&portal, 60, |done| {
        if done % 20 == 0
            && let Some(victim) = victims.pop()
        {
            victim.kill();
        }
    })
    .await;
    assert_eq!(acknowledged.len(), 60);
    assert_all_ready(&stack, &acknowledged).await;
    stack.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_killed_in_the_middle_of_its_work() {
    let Some(stack) = EngineStack::start().await else { return };
    let _worker = stack.worker();
    let api = stack.api();
    let portal = PortalClient::log_in(&api).await;
    let mut victim = Some(api);
    let acknowledged = upload_many(&portal, 60, |done| {
        if done == 30
            && let Some(victim) = victim.take()
        {
            victim.kill();
        }
    })
    .await;
    assert!(acknowledged.len() >= 30);
    let _next = stack.api();
    assert_all_ready(&stack, &acknowledged).await;
    stack.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_connection_to_the_broker_is_cut_again_and_again() {
    let Some(stack) = EngineStack::start().await else { return };
    let (api, _worker) = (stack.api(), stack.worker());
    let portal = PortalClient::log_in(&api).await;
    let acknowledged = upload_many(&portal, 80, |done| {
        if done % 10 == 0 {
            stack.broker.cut();
        }
    })
    .await;
    assert_eq!(acknowledged.len(), 80, "an upload does not need the broker");
    assert_all_ready(&stack, &acknowledged).await;
    stack.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_is_away_and_uploads_are_accepted_all_the_same() {
    let Some(stack) = EngineStack::start().await else { return };
    let (api, _worker) = (stack.api(), stack.worker());
    let portal = PortalClient::log_in(&api).await;
    stack.broker.set(ProxyState::Broken);
    let acknowledged = upload_many(&portal, 20, |_| {}).await;
    assert_eq!(acknowledged.len(), 20);
    let ready = portal.get("/readyz").await;
    assert_eq!(ready.status(), 200, "an api that is taken out of service accepts no uploads");
    let report: serde_json::Value = ready.json().await.unwrap();
    assert_ne!(report["places"]["queue"], "ok");
    assert_eq!(portal.get("/livez").await.status(), 200, "a restart would not help");
    assert_eq!(query_number(&stack, "SELECT count(*) FROM uploads WHERE state = 'accepted'").await, 20);
    stack.broker.set(ProxyState::Open);
    assert_all_ready(&stack, &acknowledged).await;
    stack.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_goes_away_under_load() {
    let Some(stack) = EngineStack::start().await else { return };
    let (api, _worker) = (stack.api(), stack.worker());
    let portal = PortalClient::log_in(&api).await;
    let acknowledged = upload_many(&portal, 80, |done| {
        if done % 16 == 8 {
            stack.database.cut();
        }
    })
    .await;
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
    assert_all_ready(&stack, &acknowledged).await;
    stack.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_drops_connections_in_the_middle_of_bodies() {
    let Some(stack) = EngineStack::start().await else { return };
    let (api, _worker) = (stack.api(), stack.worker());
    let portal = PortalClient::log_in(&api).await;
    let acknowledged = upload_many(&portal, 60, |_| stack.store.cut()).await;
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
    assert_all_ready(&stack, &acknowledged).await;
    stack.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_delivered_twice_or_after_the_end_changes_nothing() {
    let Some(stack) = EngineStack::start().await else { return };
    let api = stack.api();
    let portal = PortalClient::log_in(&api).await;
    let acknowledged = upload_many(&portal, 5, |_| {}).await;
    let backends = stack.open_backends().await;
    for number in &acknowledged {
        let id = number.parse().unwrap();
        let job = backends.records.processing_job(id).await.unwrap().unwrap();
        let message = domain::JobMessage::new(job, domain::Job::ProcessPicture { upload: id });
        for _ in 0..3 {
            backends.queue.publish(&message).await.unwrap();
        }
        backends.queue.publish_delayed(&message, Duration::from_millis(1)).await.unwrap();
    }
    let (_one, _two) = (stack.worker(), stack.worker());
    assert_all_ready(&stack, &acknowledged).await;
    let rendered = query_number(&stack, "SELECT count(*) FROM events WHERE kind = 'ready'").await;
    assert_eq!(rendered, 5, "each is done once");
    backends.queue.close().await;
    stack.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_rejected_if_its_permission_is_revoked_while_the_job_waits() {
    let Some(stack) = EngineStack::start().await else { return };
    let api = stack.api();
    let portal = PortalClient::log_in(&api).await;
    let acknowledged = upload_many(&portal, 3, |_| {}).await;
    query_number(&stack, "WITH gone AS (UPDATE users SET disabled_at = 1 RETURNING 1) SELECT count(*) FROM gone").await;
    let _worker = stack.worker();
    let ends = settle_and_check(&stack, &acknowledged).await;
    assert_eq!((ends.rejected, ends.reasons.contains("not_permitted")), (3, true), "{ends:?}");
    stack.clean_up().await;
}
