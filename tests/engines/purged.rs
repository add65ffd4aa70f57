//! Messages that the broker lost, and notes of publishes that come late.

use lapin::options::QueuePurgeOptions;

use super::faults::{all_are_ready, hand_in};
use super::oracle::{count, until};
use super::stack::Stack;
use crate::portal::Portal;
use crate::process::{Folder, Process};

/// An operator purges the queue. Every upload is done long before its deadline.
#[tokio::test(flavor = "multi_thread")]
async fn a_purged_queue_costs_no_upload() {
    let Some(stack) = Stack::start().await else { return };
    let mut command = stack.command(&["api"]);
    // A tenth of it is 12 s, and the deadline far away: this machine may be slow.
    command.env("CLOAKROOM__UPLOADS__DEADLINE", "2m");
    let api = Process::start(command);
    let portal = Portal::log_in(&api).await;
    let acknowledged = hand_in(&portal, 10, |_| {}).await;
    assert_eq!(acknowledged.len(), 10);
    until(&stack, "SELECT count(*) FROM jobs WHERE published_at IS NULL", 0).await;
    let channel = stack.operator().await.create_channel().await.unwrap();
    channel.queue_purge(stack.queue("pictures").into(), QueuePurgeOptions::default()).await.unwrap();
    let _worker = stack.worker();
    all_are_ready(&stack, &acknowledged).await;
    assert_eq!(count(&stack, "SELECT count(*) FROM uploads WHERE settled_at > deadline").await, 0);
    stack.end().await;
}

/// A job dies at once, and is retried while the note of its first publish is still on its way. Nobody but the sweeper
/// publishes the retry.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_retried_right_after_it_died_is_taken_up_again() {
    let Some(stack) = Stack::start().await else { return };
    let api = stack.api();
    let portal = Portal::log_in(&api).await;
    let places = stack.places().await;
    // Its staging is another folder, whose bytes are lost: every job dies in milliseconds.
    let elsewhere = Folder::new();
    std::fs::create_dir(elsewhere.path().join("incoming")).unwrap();
    let mut command = stack.command(&["worker"]);
    command.env("CLOAKROOM__STAGING__URL", format!("file://{}", elsewhere.path().display()));
    let _worker = Process::start(command);
    for number in 1..=4 {
        hand_in(&portal, 1, |_| {}).await;
        until(&stack, "SELECT count(*) FROM jobs WHERE state = 'dead' AND attempts = 1", 1).await;
        let job = places.records.jobs(true, 100).await.unwrap().pop().unwrap().id;
        places.records.retry_job(job, std::time::Duration::from_secs(600)).await.unwrap().unwrap();
        until(&stack, "SELECT count(*) FROM jobs WHERE state = 'dead' AND attempts = 2", number).await;
    }
    places.queue.close().await;
    places.records.close().await.unwrap();
    stack.end().await;
}
