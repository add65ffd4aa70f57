//! `kill -9` between every two steps: each piece of a request that a process sends to an engine is once the one that it
//! did not live to send.

use super::faults::all_are_ready;
use super::oracle::{count, settled, until};
use super::proxy::Trap;
use super::stack::Stack;
use crate::portal::{Portal, picture};
use crate::process::Process;

/// More steps than any job has.
const FAR: usize = 200;

/// A worker dies before its first step of a job, its second, and so on, until a job has fewer steps than that.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_killed_between_every_two_steps() {
    let Some(stack) = Stack::start().await else { return };
    let api = stack.api();
    let portal = Portal::log_in(&api).await;
    let mut acknowledged = Vec::new();
    for step in 0..FAR {
        let trap = Trap::default();
        let ways = stack.ways(&trap).await;
        let mut command = stack.command_by(&ways, &["worker"]);
        // Its own clockwork would be among the steps.
        command.env("CLOAKROOM__SWEEP__EVERY", "1h").env("CLOAKROOM__WORKER__LEASE", "2s");
        let victim = Process::start(command);
        until(&stack, "SELECT count(*) FROM jobs WHERE published_at IS NULL OR leased_until IS NOT NULL", 0).await;
        trap.arm(step);
        let answer = portal.upload_preferring("respond-async", "small.jpg", picture("astronaut.jpg")).await;
        assert!(answer.status().is_success(), "{}", answer.status());
        acknowledged.push(answer.text().await.unwrap());
        let whole = tokio::select! {
            () = trap.sprung() => false,
            () = until(&stack, "SELECT count(*) FROM jobs", 0) => true,
        };
        victim.kill();
        trap.clear();
        if whole {
            println!("a worker was killed before each of {step} steps");
            assert!(step > 15, "a job has more steps than {step}");
            let _healer = stack.worker();
            all_are_ready(&stack, &acknowledged).await;
            return stack.end().await;
        }
        // What the dead one held is taken up when its lease is over.
        let healer = stack.worker();
        until(&stack, "SELECT count(*) FROM uploads WHERE state = 'accepted'", 0).await;
        assert_eq!(healer.stop(), Some(0));
    }
    panic!("a job has no {FAR} steps");
}

/// An api dies before its first step of an upload, its second, and so on: before the bytes are staged, between staging
/// and commit, between commit and publish, before the answer.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_is_killed_between_every_two_steps() {
    let Some(stack) = Stack::start().await else { return };
    let _worker = stack.worker();
    let mut acknowledged = Vec::new();
    for step in 0..FAR {
        let trap = Trap::default();
        let ways = stack.ways(&trap).await;
        let victim = Process::start(stack.command_by(&ways, &["api"]));
        let portal = Portal::log_in(&victim).await;
        trap.arm(step);
        let uploading = portal.try_upload("respond-async", "small.jpg", picture("astronaut.jpg"));
        let answer = tokio::select! {
            () = trap.sprung() => None,
            answer = uploading => answer.ok().filter(|answer| answer.status().is_success()),
        };
        let Some(answer) = answer else {
            victim.kill();
            trap.clear();
            continue;
        };
        acknowledged.push(answer.text().await.unwrap());
        victim.kill();
        println!("an api was killed before each of {step} steps");
        assert!(step > 5, "an upload has more steps than {step}");
        let ends = settled(&stack, &acknowledged).await;
        assert_eq!((ends.ready, ends.failed), (1, 0), "{ends:?}");
        let failed = count(&stack, "SELECT count(*) FROM uploads WHERE state <> 'ready'").await;
        assert_eq!(failed, 0, "what was committed is done, answered or not");
        return stack.end().await;
    }
    panic!("an upload has no {FAR} steps");
}

/// A machine that loses its power says no goodbye: the database holds the locks of its transaction until it ends the
/// session by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_vanishes_in_the_middle_of_a_transaction() {
    let Some(stack) = Stack::start().await else { return };
    let api = stack.api();
    let portal = Portal::log_in(&api).await;
    let mut acknowledged = Vec::new();
    for step in 0..FAR {
        let trap = Trap::default();
        let mut ways = stack.ways(&Trap::default()).await;
        ways.database = stack.ways(&trap).await.database;
        let mut command = stack.command_by(&ways, &["worker"]);
        command.env("CLOAKROOM__SWEEP__EVERY", "1h").env("CLOAKROOM__WORKER__LEASE", "2s");
        // Each worker that is killed costs a job an attempt, and a slow machine kills more of them per job.
        command.env("CLOAKROOM__WORKER__ATTEMPTS", "1000");
        let victim = Process::start(command);
        trap.arm(step);
        let answer = portal.upload_preferring("respond-async", "small.jpg", picture("astronaut.jpg")).await;
        acknowledged.push(answer.text().await.unwrap());
        trap.sprung().await;
        victim.kill();
        let held = "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid)
                    WHERE a.datname = current_database() AND a.state = 'idle in transaction'
                      AND l.relation = 'jobs'::regclass AND l.mode = 'RowExclusiveLock'";
        if count(&stack, held).await > 0 {
            let mut next = stack.command(&["worker"]);
            next.env("CLOAKROOM__WORKER__ATTEMPTS", "1000");
            let _next = Process::start(next);
            // The connection stays: the trap is not cleared.
            all_are_ready(&stack, &acknowledged).await;
            return stack.end().await;
        }
        trap.clear();
    }
    panic!("no transaction was open at any of {FAR} steps");
}
