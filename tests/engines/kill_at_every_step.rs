//! Kills a process with `kill -9` between every two steps. A step is one piece of a request that a process sends to an
//! engine. Round n lets n steps pass, holds back the next step, and kills the process. So each step is held back in one
//! of the rounds.

use test_support::engine_stack::EngineStack;
use test_support::invariants::{query_number, settle_and_check, wait_for_number};
use test_support::portal::{PortalClient, read_picture};
use test_support::process::ServerProcess;
use test_support::proxy::RequestTrap;

use super::faults::assert_all_ready;

/// The largest number of rounds. No job and no upload has so many steps.
const MAX_STEPS: usize = 200;

/// A worker is killed before its first step of a job, then another worker before its second step, and so on. The test
/// ends when a job is done without reaching the step of its round.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_killed_between_every_two_steps() {
    let Some(stack) = EngineStack::start().await else { return };
    let api = stack.api();
    let portal = PortalClient::log_in(&api).await;
    let mut acknowledged = Vec::new();
    for step in 0..MAX_STEPS {
        let trap = RequestTrap::default();
        let proxies = stack.new_proxies(&trap).await;
        let mut command = stack.command_through(&proxies, &["worker"]);
        // Without these settings, requests of the worker's own periodic work would count as steps.
        command.env("CLOAKROOM__SWEEP__INTERVAL", "1h").env("CLOAKROOM__WORKER__LEASE", "2s");
        let victim = ServerProcess::start(command);
        wait_for_number(&stack, "SELECT count(*) FROM jobs WHERE published_at IS NULL OR leased_until IS NOT NULL", 0)
            .await;
        trap.arm(step);
        let answer = portal.upload_preferring("respond-async", "small.jpg", read_picture("astronaut.jpg")).await;
        assert!(answer.status().is_success(), "{}", answer.status());
        acknowledged.push(answer.text().await.unwrap());
        let job_done = tokio::select! {
            () = trap.sprung() => false,
            () = wait_for_number(&stack, "SELECT count(*) FROM jobs", 0) => true,
        };
        victim.kill();
        trap.clear();
        if job_done {
            println!("a worker was killed before each of {step} steps");
            assert!(step > 15, "only {step} steps were found, and a job has more");
            let _healer = stack.worker();
            assert_all_ready(&stack, &acknowledged).await;
            return stack.clean_up().await;
        }
        // Another worker takes over the jobs of the killed one when their leases expire.
        let healer = stack.worker();
        wait_for_number(&stack, "SELECT count(*) FROM uploads WHERE state = 'accepted'", 0).await;
        assert_eq!(healer.stop(), Some(0));
    }
    panic!("no job was done within {MAX_STEPS} steps");
}

/// An api is killed before its first step of an upload, then another api before its second step, and so on. So some are
/// killed before the bytes are staged, some between staging and commit, some between commit and publish, and some
/// before the answer. The test ends when an upload is answered without reaching the step of its round.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_is_killed_between_every_two_steps() {
    let Some(stack) = EngineStack::start().await else { return };
    let _worker = stack.worker();
    let mut acknowledged = Vec::new();
    for step in 0..MAX_STEPS {
        let trap = RequestTrap::default();
        let proxies = stack.new_proxies(&trap).await;
        let victim = ServerProcess::start(stack.command_through(&proxies, &["api"]));
        let portal = PortalClient::log_in(&victim).await;
        trap.arm(step);
        let uploading = portal.try_upload("respond-async", "small.jpg", read_picture("astronaut.jpg"));
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
        assert!(step > 5, "only {step} steps were found, and an upload has more");
        let ends = settle_and_check(&stack, &acknowledged).await;
        assert_eq!((ends.ready, ends.failed), (1, 0), "{ends:?}");
        let not_ready = query_number(&stack, "SELECT count(*) FROM uploads WHERE state <> 'ready'").await;
        assert_eq!(not_ready, 0, "each committed upload is done, even if its client got no answer");
        return stack.clean_up().await;
    }
    panic!("no upload was done within {MAX_STEPS} steps");
}

/// A machine that loses power closes no connection. PostgreSQL keeps the locks of that machine's open transaction until
/// PostgreSQL itself ends the session.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_vanishes_in_the_middle_of_a_transaction() {
    let Some(stack) = EngineStack::start().await else { return };
    let api = stack.api();
    let portal = PortalClient::log_in(&api).await;
    let mut acknowledged = Vec::new();
    for step in 0..MAX_STEPS {
        let trap = RequestTrap::default();
        let mut proxies = stack.new_proxies(&RequestTrap::default()).await;
        proxies.database = stack.new_proxies(&trap).await.database;
        let mut command = stack.command_through(&proxies, &["worker"]);
        command.env("CLOAKROOM__SWEEP__INTERVAL", "1h").env("CLOAKROOM__WORKER__LEASE", "2s");
        // A job that is not done in its round is taken by the workers of later rounds. Each of these workers uses up
        // one attempt of the job, so on a slow machine a job has many attempts.
        command.env("CLOAKROOM__WORKER__MAX_ATTEMPTS", "1000");
        let victim = ServerProcess::start(command);
        trap.arm(step);
        let answer = portal.upload_preferring("respond-async", "small.jpg", read_picture("astronaut.jpg")).await;
        acknowledged.push(answer.text().await.unwrap());
        trap.sprung().await;
        victim.kill();
        let lock_count_sql = "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid)
                    WHERE a.datname = current_database() AND a.state = 'idle in transaction'
                      AND l.relation = 'jobs'::regclass AND l.mode = 'RowExclusiveLock'";
        if query_number(&stack, lock_count_sql).await > 0 {
            let mut next = stack.command(&["worker"]);
            next.env("CLOAKROOM__WORKER__MAX_ATTEMPTS", "1000");
            let _next = ServerProcess::start(next);
            // The connection stays open, because the trap is not cleared.
            assert_all_ready(&stack, &acknowledged).await;
            return stack.clean_up().await;
        }
        trap.clear();
    }
    panic!("no transaction was open at any of {MAX_STEPS} steps");
}
