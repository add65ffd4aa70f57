//! Things break, in real processes on real engines, and every acknowledged upload comes to its end all the same.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::oracle::{Ends, count, settled};
use super::proxy::Way;
use super::stack::Stack;
use crate::portal::{Portal, picture};

/// Hands in `many` pictures without waiting for verdicts, eight at a time, and calls `meanwhile` after each that is
/// acknowledged with how many there are by then. Returns them.
pub async fn hand_in(portal: &Portal, many: usize, mut meanwhile: impl FnMut(usize)) -> Vec<String> {
    let photograph = picture("astronaut.jpg");
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

pub async fn all_are_ready(stack: &Stack, acknowledged: &[String]) {
    let ends = settled(stack, acknowledged).await;
    assert_eq!(ends, Ends { ready: acknowledged.len(), ..Ends::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_killed_in_the_middle_of_its_work() {
    let Some(stack) = Stack::start().await else { return };
    let (api, _survivor) = (stack.api(), stack.worker());
    let portal = Portal::log_in(&api).await;
    let mut victims = vec![stack.worker(), stack.worker()];
    let acknowledged = hand_in(&portal, 60, |done| {
        if done % 20 == 0
            && let Some(victim) = victims.pop()
        {
            victim.kill();
        }
    })
    .await;
    assert_eq!(acknowledged.len(), 60);
    all_are_ready(&stack, &acknowledged).await;
    stack.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_killed_in_the_middle_of_its_work() {
    let Some(stack) = Stack::start().await else { return };
    let _worker = stack.worker();
    let api = stack.api();
    let portal = Portal::log_in(&api).await;
    let mut victim = Some(api);
    let acknowledged = hand_in(&portal, 60, |done| {
        if done == 30
            && let Some(victim) = victim.take()
        {
            victim.kill();
        }
    })
    .await;
    assert!(acknowledged.len() >= 30);
    let _next = stack.api();
    all_are_ready(&stack, &acknowledged).await;
    stack.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_connection_to_the_broker_is_cut_again_and_again() {
    let Some(stack) = Stack::start().await else { return };
    let (api, _worker) = (stack.api(), stack.worker());
    let portal = Portal::log_in(&api).await;
    let acknowledged = hand_in(&portal, 80, |done| {
        if done % 10 == 0 {
            stack.broker.cut();
        }
    })
    .await;
    assert_eq!(acknowledged.len(), 80, "an upload does not need the broker");
    all_are_ready(&stack, &acknowledged).await;
    stack.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_is_away_and_uploads_are_accepted_all_the_same() {
    let Some(stack) = Stack::start().await else { return };
    let (api, _worker) = (stack.api(), stack.worker());
    let portal = Portal::log_in(&api).await;
    stack.broker.set(Way::Broken);
    let acknowledged = hand_in(&portal, 20, |_| {}).await;
    assert_eq!(acknowledged.len(), 20);
    let ready = portal.get("/readyz").await;
    assert_eq!(ready.status(), 200, "taken out of service, it would take nothing in");
    let places: serde_json::Value = ready.json().await.unwrap();
    assert_ne!(places["places"]["queue"], "ok");
    assert_eq!(portal.get("/livez").await.status(), 200, "restarting us would help nobody");
    assert_eq!(count(&stack, "SELECT count(*) FROM uploads WHERE state = 'accepted'").await, 20);
    stack.broker.set(Way::Open);
    all_are_ready(&stack, &acknowledged).await;
    stack.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_goes_away_under_load() {
    let Some(stack) = Stack::start().await else { return };
    let (api, _worker) = (stack.api(), stack.worker());
    let portal = Portal::log_in(&api).await;
    let acknowledged = hand_in(&portal, 80, |done| {
        if done % 16 == 8 {
            stack.database.cut();
        }
    })
    .await;
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
    all_are_ready(&stack, &acknowledged).await;
    stack.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_drops_connections_in_the_middle_of_bodies() {
    let Some(stack) = Stack::start().await else { return };
    let (api, _worker) = (stack.api(), stack.worker());
    let portal = Portal::log_in(&api).await;
    let acknowledged = hand_in(&portal, 60, |_| stack.store.cut()).await;
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
    all_are_ready(&stack, &acknowledged).await;
    stack.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_delivered_twice_or_after_the_end_changes_nothing() {
    let Some(stack) = Stack::start().await else { return };
    let api = stack.api();
    let portal = Portal::log_in(&api).await;
    let acknowledged = hand_in(&portal, 5, |_| {}).await;
    let places = stack.places().await;
    for number in &acknowledged {
        let id = number.parse().unwrap();
        let job = places.records.open_job(id).await.unwrap().unwrap();
        let ticket = upload::Ticket::new(job, upload::Job::ProcessPicture { upload: id });
        for _ in 0..3 {
            places.queue.publish(&ticket).await.unwrap();
        }
        places.queue.publish_later(&ticket, Duration::from_millis(1)).await.unwrap();
    }
    let (_one, _two) = (stack.worker(), stack.worker());
    all_are_ready(&stack, &acknowledged).await;
    let rendered = count(&stack, "SELECT count(*) FROM events WHERE what = 'ready'").await;
    assert_eq!(rendered, 5, "done once each");
    places.queue.close().await;
    stack.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_revoked_while_the_job_waits_is_a_rejection() {
    let Some(stack) = Stack::start().await else { return };
    let api = stack.api();
    let portal = Portal::log_in(&api).await;
    let acknowledged = hand_in(&portal, 3, |_| {}).await;
    count(&stack, "WITH gone AS (UPDATE users SET disabled_at = 1 RETURNING 1) SELECT count(*) FROM gone").await;
    let _worker = stack.worker();
    let ends = settled(&stack, &acknowledged).await;
    assert_eq!((ends.rejected, ends.reasons.contains("not_permitted")), (3, true), "{ends:?}");
    stack.end().await;
}
