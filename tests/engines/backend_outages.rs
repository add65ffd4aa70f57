//! Tests temporary backend failures on real engines: no job becomes dead, and the worker pauses and reports it.

use std::time::Duration;

use domain::QueueName;
use test_support::engine_stack::EngineStack;
use test_support::invariants::{query_number, wait_for_number};
use test_support::portal::PortalClient;
use test_support::process::ServerProcess;
use test_support::proxy::ProxyState;

use super::faults::{assert_all_ready, upload_many};

/// Starts a worker with this number of attempts per job. With one attempt, every job would be dead
/// if the outage counted.
fn start_worker(stack: &EngineStack, attempts: &str) -> ServerProcess {
    let mut command = stack.command(&["worker", "--concurrency", "2"]);
    command.env("CLOAKROOM__WORKER__MAX_ATTEMPTS", attempts);
    ServerProcess::start(command)
}

async fn wait_for_probe(worker: &ServerProcess, path: &str, holds: impl Fn(u16, &str) -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let mut last = (0, String::new());
    let reached = async {
        loop {
            tick.tick().await;
            last = worker.probe(path).await;
            if holds(last.0, &last.1) {
                return;
            }
        }
    };
    let reached = tokio::time::timeout(Duration::from_secs(120), reached).await;
    assert!(reached.is_ok(), "{path} still says: {last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_outage_makes_no_waiting_job_dead() {
    let Some(stack) = EngineStack::start().await else { return };
    let api = stack.api();
    let portal = PortalClient::log_in(&api).await;
    let acknowledged = upload_many(&portal, 30, |_| {}).await;
    assert_eq!(acknowledged.len(), 30);
    for way in [ProxyState::Broken, ProxyState::Overloaded] {
        stack.store.set(way);
        let worker = start_worker(&stack, "1");
        wait_for_probe(&worker, "/metrics", |_, said| {
            said.contains("cloakroom_circuit_breaker_open{backend=\"staging\"} 1")
        })
        .await;
        wait_for_probe(&worker, "/readyz", |status, said| status == 503 && !said.contains("\"staging\":\"ok\"")).await;
        let backends = stack.open_backends().await;
        let paused = async {
            let mut tick = tokio::time::interval(Duration::from_millis(100));
            while backends.queue.stats(QueueName::Pictures).await.unwrap().unwrap().consumers > 0 {
                tick.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), paused).await.expect("the worker takes no more jobs");
        backends.queue.close().await;
        let postponed = "SELECT least(count(*), 3) FROM events WHERE detail LIKE '%which does not count%'";
        wait_for_number(&stack, postponed, 3).await;
        assert_eq!(query_number(&stack, "SELECT count(*) FROM jobs WHERE state = 'dead'").await, 0, "{way:?}");
        assert_eq!(
            query_number(
                &stack,
                "SELECT max(attempts - uncounted_attempts)::bigint FROM jobs WHERE leased_until IS NULL"
            )
            .await,
            0
        );
        let opened = worker.log().matches("no more jobs are begun until it answers").count();
        assert_eq!(opened, 1, "the worker logs this once per outage");
        if matches!(way, ProxyState::Broken) {
            let begun = query_number(&stack, "SELECT count(*) FROM jobs WHERE attempts > 0").await;
            assert!(begun < 10, "{begun} of 30 jobs were begun during the outage");
        }
        assert_eq!(worker.stop(), Some(0));
    }
    let worker = start_worker(&stack, "1");
    stack.store.set(ProxyState::Open);
    assert_all_ready(&stack, &acknowledged).await;
    wait_for_probe(&worker, "/readyz", |status, _| status == 200).await;
    assert_eq!(worker.stop(), Some(0));
    let channel = stack.operator_connection().await.create_channel().await.unwrap();
    let dead = lapin::options::QueueDeclareOptions { passive: true, ..Default::default() };
    let dead = channel.queue_declare(stack.queue_name("dead").into(), dead, Default::default()).await.unwrap();
    assert_eq!(dead.message_count(), 0, "no message was delivered too often");
    stack.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_outage_makes_no_running_job_dead() {
    let Some(stack) = EngineStack::start().await else { return };
    let (api, worker) = (stack.api(), start_worker(&stack, "5"));
    let portal = PortalClient::log_in(&api).await;
    let mut acknowledged = Vec::new();
    for _ in 0..6 {
        // The outage begins while jobs are at different steps.
        acknowledged.extend(
            upload_many(&portal, 8, |done| {
                if done == 6 {
                    stack.database.set(ProxyState::Broken);
                }
            })
            .await,
        );
        wait_for_probe(&worker, "/metrics", |_, said| {
            said.contains("cloakroom_circuit_breaker_open{backend=\"records\"} 1")
        })
        .await;
        stack.database.set(ProxyState::Open);
        wait_for_probe(&worker, "/readyz", |status, _| status == 200).await;
    }
    assert_all_ready(&stack, &acknowledged).await;
    assert_eq!(query_number(&stack, "SELECT count(*) FROM jobs").await, 0);
    assert!(worker.log().contains("works again"));
    stack.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readyz_reports_a_missing_bucket_and_no_upload_is_lost() {
    let Some(stack) = EngineStack::start().await else { return };
    let api = stack.api();
    let portal = PortalClient::log_in(&api).await;
    let acknowledged = upload_many(&portal, 5, |_| {}).await;
    let misled = |arguments: &[&str]| {
        let mut command = stack.command(arguments);
        for backend in ["STAGING", "BLOBS"] {
            command.env(format!("CLOAKROOM__{backend}__URL"), format!("s3://no-such-bucket/{backend}"));
        }
        command
    };
    let worker = ServerProcess::start(misled(&["worker"]));
    wait_for_probe(&worker, "/readyz", |status, said| status == 503 && said.contains("the bucket does not exist"))
        .await;
    wait_for_number(&stack, "SELECT least(count(*), 1) FROM events WHERE kind = 'postponed'", 1).await;
    assert_eq!(query_number(&stack, "SELECT count(*) FROM uploads WHERE state <> 'accepted'").await, 0);
    assert_eq!(worker.stop(), Some(0));
    let other = ServerProcess::start(misled(&["api"]));
    let answer = PortalClient::log_in(&other).await.get("/readyz").await;
    assert_eq!(answer.status(), 503);
    let said: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(said["places"]["staging"], "the bucket does not exist", "{said}");
    let _worker = stack.worker();
    assert_all_ready(&stack, &acknowledged).await;
    stack.clean_up().await;
}
