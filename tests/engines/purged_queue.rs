//! Tests messages that the broker lost, and publish confirmations that are recorded late.

use lapin::options::QueuePurgeOptions;
use test_support::engine_stack::EngineStack;
use test_support::invariants::{query_number, wait_for_number};
use test_support::portal::PortalClient;
use test_support::process::{DataFolder, ServerProcess};

use super::faults::{assert_all_ready, upload_many};

/// An operator purges the queue. Every upload is still done before its deadline.
#[tokio::test(flavor = "multi_thread")]
async fn a_purged_queue_costs_no_upload() {
    let Some(stack) = EngineStack::start().await else { return };
    let mut command = stack.command(&["api"]);
    // Messages are published again after a tenth of the deadline, which is 12 s. The deadline is 2 minutes because the
    // machine may be slow.
    command.env("CLOAKROOM__UPLOADS__DEADLINE", "2m");
    let api = ServerProcess::start(command);
    let portal = PortalClient::log_in(&api).await;
    let acknowledged = upload_many(&portal, 10, |_| {}).await;
    assert_eq!(acknowledged.len(), 10);
    wait_for_number(&stack, "SELECT count(*) FROM jobs WHERE published_at IS NULL", 0).await;
    let channel = stack.operator_connection().await.create_channel().await.unwrap();
    channel.queue_purge(stack.queue_name("pictures").into(), QueuePurgeOptions::default()).await.unwrap();
    let _worker = stack.worker();
    assert_all_ready(&stack, &acknowledged).await;
    assert_eq!(query_number(&stack, "SELECT count(*) FROM uploads WHERE settled_at > deadline").await, 0);
    stack.clean_up().await;
}

/// A job becomes dead at once, and is retried before the confirmation of its first publish is recorded. Only the
/// sweeper publishes the retry.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_retried_right_after_it_died_runs_again() {
    let Some(stack) = EngineStack::start().await else { return };
    let api = stack.api();
    let portal = PortalClient::log_in(&api).await;
    let backends = stack.open_backends().await;
    // The staging folder of this worker is not the api's folder and lacks the bytes, so every job becomes dead within
    // milliseconds.
    let elsewhere = DataFolder::new();
    std::fs::create_dir(elsewhere.path().join("incoming")).unwrap();
    let mut command = stack.command(&["worker"]);
    command.env("CLOAKROOM__STAGING__URL", format!("file://{}", elsewhere.path().display()));
    let _worker = ServerProcess::start(command);
    for number in 1..=4 {
        upload_many(&portal, 1, |_| {}).await;
        wait_for_number(&stack, "SELECT count(*) FROM jobs WHERE state = 'dead' AND attempts = 1", 1).await;
        let job = backends.records.jobs(true, 100).await.unwrap().pop().unwrap().id;
        backends.records.retry_job(job, std::time::Duration::from_secs(600)).await.unwrap().unwrap();
        wait_for_number(&stack, "SELECT count(*) FROM jobs WHERE state = 'dead' AND attempts = 2", number).await;
    }
    backends.queue.close().await;
    backends.records.close().await.unwrap();
    stack.clean_up().await;
}
