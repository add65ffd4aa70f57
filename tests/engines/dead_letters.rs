//! Tests dead jobs: how a job becomes dead, and how an operator retries or discards it.

use std::process::Output;

use lapin::options::QueuePurgeOptions;
use test_support::engine_stack::EngineStack;
use test_support::invariants::{query_number, settle_and_check, wait_for_number};
use test_support::portal::PortalClient;
use test_support::process::ServerProcess;
use test_support::proxy::ProxyState;

use super::faults::upload_many;

fn output_text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_shows_explains_retries_and_drops_a_dead_job() {
    let Some(stack) = EngineStack::start().await else { return };
    let ask = |arguments: &[&str]| output_text(&stack.command(arguments).output().unwrap());
    let api = stack.api();
    let portal = PortalClient::log_in(&api).await;
    let acknowledged = upload_many(&portal, 2, |_| {}).await;
    let lost = acknowledged[0].as_str();
    let backends = stack.open_backends().await;
    let upload = backends.records.upload(lost.parse().unwrap()).await.unwrap().unwrap();
    wait_for_number(&stack, "SELECT count(*) FROM jobs WHERE published_at IS NOT NULL", 2).await;
    let explains = async |words: &str| {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(500));
        // The broker reports its message counts with a delay.
        for _ in 0..60 {
            tick.tick().await;
            if ask(&["explain", lost]).contains(words) {
                return;
            }
        }
        panic!("`explain` never said \"{words}\": {}", ask(&["explain", lost]));
    };
    explains("has 2 waiting messages and no consumer").await;
    // A confirmed message can be lost later without any notification.
    let channel = stack.operator_connection().await.create_channel().await.unwrap();
    channel.queue_purge(stack.queue_name("pictures").into(), QueuePurgeOptions::default()).await.unwrap();
    explains("has 0 waiting messages").await;
    explains("it is published again").await;
    for number in &acknowledged {
        let id = number.parse().unwrap();
        let job = backends.records.processing_job(id).await.unwrap().unwrap();
        let message = domain::JobMessage::new(job, domain::Job::ProcessPicture { upload: id });
        backends.queue.publish(&message).await.unwrap();
    }
    backends.staging.delete(&upload.staged_key).await.unwrap();

    let worker = stack.worker();
    let ends = settle_and_check(&stack, &acknowledged).await;
    assert_eq!((ends.ready, ends.failed, ends.reasons.contains("bytes_lost")), (1, 1, true), "{ends:?}");
    let letters = ask(&["jobs", "ls", "--json"]);
    let letter: serde_json::Value = serde_json::from_str(letters.trim()).unwrap();
    assert_eq!((letter["kind"].as_str(), letter["dead"].as_bool()), (Some("picture.process.v1"), Some(true)));
    let job = letter["id"].as_str().unwrap();
    assert!(ask(&["jobs", "show", job]).contains("bytes_lost"));
    let explained = ask(&["explain", lost]);
    assert!(explained.contains(&format!("cloakroom jobs retry {job}")), "{explained}");

    ask(&["jobs", "retry", job]);
    assert_eq!(settle_and_check(&stack, &acknowledged).await.failed, 1, "the bytes are still missing");
    wait_for_number(&stack, "SELECT count(*) FROM events WHERE kind = 'retried'", 1).await;
    ask(&["jobs", "drop", job]);
    assert_eq!(ask(&["jobs", "ls"]), "no dead letters\n");
    assert_eq!(settle_and_check(&stack, &acknowledged).await.failed, 1);
    assert_eq!((worker.stop(), api.stop()), (Some(0), Some(0)));
    backends.queue.close().await;
    stack.clean_up().await;
}

/// The bytes of a job kill every worker that reads them. Each attempt is counted before it begins, so the job runs out
/// of attempts.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_workers_runs_out_of_attempts() {
    let Some(stack) = EngineStack::start().await else { return };
    let api = stack.api();
    let portal = PortalClient::log_in(&api).await;
    let poison = upload_many(&portal, 1, |_| {}).await;
    let worker = || {
        let mut command = stack.command(&["worker"]);
        command.env("CLOAKROOM__WORKER__MAX_ATTEMPTS", "2");
        ServerProcess::start(command)
    };
    // The worker hangs on the job and is then killed.
    for attempt in 1..=2 {
        stack.store.set(ProxyState::Silent);
        let victim = worker();
        wait_for_number(&stack, "SELECT attempts::bigint FROM jobs", attempt).await;
        victim.kill();
    }
    stack.store.set(ProxyState::Open);
    let _survivor = worker();
    let others = upload_many(&portal, 5, |_| {}).await;
    let ends = settle_and_check(&stack, &[poison, others].concat()).await;
    assert_eq!((ends.failed, ends.ready, ends.reasons.contains("gave_up")), (1, 5, true), "{ends:?}");
    assert_eq!(query_number(&stack, "SELECT count(*) FROM jobs WHERE state = 'dead'").await, 1);
    stack.clean_up().await;
}
