//! Dead letters: how a job becomes one, and what people do with it.

use std::process::Output;

use lapin::options::QueuePurgeOptions;

use super::faults::hand_in;
use super::oracle::{count, settled, until};
use super::proxy::Way;
use super::stack::Stack;
use crate::portal::Portal;
use crate::process::Process;

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_done_is_shown_explained_tried_again_and_given_up() {
    let Some(stack) = Stack::start().await else { return };
    let ask = |arguments: &[&str]| said(&stack.command(arguments).output().unwrap());
    let api = stack.api();
    let portal = Portal::log_in(&api).await;
    let acknowledged = hand_in(&portal, 2, |_| {}).await;
    let lost = acknowledged[0].as_str();
    let places = stack.places().await;
    let upload = places.records.upload(lost.parse().unwrap()).await.unwrap().unwrap();
    until(&stack, "SELECT count(*) FROM jobs WHERE published_at IS NOT NULL", 2).await;
    let explains = async |words: &str| {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(500));
        // The broker counts with a delay.
        for _ in 0..60 {
            tick.tick().await;
            if ask(&["explain", lost]).contains(words) {
                return;
            }
        }
        panic!("never said \"{words}\": {}", ask(&["explain", lost]));
    };
    explains("has 2 waiting messages and no consumer").await;
    // What was confirmed once is not there for ever, and nobody says so.
    let channel = stack.operator().await.create_channel().await.unwrap();
    channel.queue_purge(stack.queue("pictures").into(), QueuePurgeOptions::default()).await.unwrap();
    explains("has 0 waiting messages").await;
    explains("it is sent again").await;
    for number in &acknowledged {
        let id = number.parse().unwrap();
        let job = places.records.open_job(id).await.unwrap().unwrap();
        let ticket = upload::Ticket::new(job, upload::Job::ProcessPicture { upload: id });
        places.queue.publish(&ticket).await.unwrap();
    }
    places.staging.remove(&upload.staged_key).await.unwrap();

    let worker = stack.worker();
    let ends = settled(&stack, &acknowledged).await;
    assert_eq!((ends.ready, ends.failed, ends.reasons.contains("bytes_lost")), (1, 1, true), "{ends:?}");
    let letters = ask(&["jobs", "ls", "--json"]);
    let letter: serde_json::Value = serde_json::from_str(letters.trim()).unwrap();
    assert_eq!((letter["kind"].as_str(), letter["dead"].as_bool()), (Some("picture.process.v1"), Some(true)));
    let job = letter["id"].as_str().unwrap();
    assert!(ask(&["jobs", "show", job]).contains("bytes_lost"));
    let explained = ask(&["explain", lost]);
    assert!(explained.contains(&format!("cloakroom jobs retry {job}")), "{explained}");

    ask(&["jobs", "retry", job]);
    assert_eq!(settled(&stack, &acknowledged).await.failed, 1, "nobody put the bytes back");
    until(&stack, "SELECT count(*) FROM events WHERE what = 'tried again by hand'", 1).await;
    ask(&["jobs", "drop", job]);
    assert_eq!(ask(&["jobs", "ls"]), "no dead letters\n");
    assert_eq!(settled(&stack, &acknowledged).await.failed, 1);
    assert_eq!((worker.stop(), api.stop()), (Some(0), Some(0)));
    places.queue.close().await;
    stack.end().await;
}

/// Bytes that kill every worker that touches them: each attempt is counted before it begins, so they run out.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_workers_runs_out_of_attempts() {
    let Some(stack) = Stack::start().await else { return };
    let api = stack.api();
    let portal = Portal::log_in(&api).await;
    let poison = hand_in(&portal, 1, |_| {}).await;
    let worker = || {
        let mut command = stack.command(&["worker"]);
        command.env("CLOAKROOM__WORKER__ATTEMPTS", "2");
        Process::start(command)
    };
    // The worker is stuck with it, and then it is dead.
    for attempt in 1..=2 {
        stack.store.set(Way::Silent);
        let victim = worker();
        until(&stack, "SELECT attempts::bigint FROM jobs", attempt).await;
        victim.kill();
    }
    stack.store.set(Way::Open);
    let _survivor = worker();
    let others = hand_in(&portal, 5, |_| {}).await;
    let ends = settled(&stack, &[poison, others].concat()).await;
    assert_eq!((ends.failed, ends.ready, ends.reasons.contains("gave_up")), (1, 5, true), "{ends:?}");
    assert_eq!(count(&stack, "SELECT count(*) FROM jobs WHERE state = 'dead'").await, 1);
    stack.end().await;
}
