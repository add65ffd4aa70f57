//! `kill -9` between every two steps. A step is one piece of a request that a process sends to an engine. Round n lets n
//! pieces pass, holds back the next one, and kills the process. So each piece is held back in one of the rounds.

use test_support::engine_stack::EngineStack;
use test_support::invariants::{query_number, settle_and_check, wait_for_number};
use test_support::portal::{PortalClient, read_picture};
use test_support::process::ServerProcess;
use test_support::proxy::RequestTrap;

use super::faults::assert_all_ready;

/// More steps than any job has.
const MAX_STEPS: usize = 200;

/// A worker dies before its first step of a job, its second, and so on, until a job has fewer steps than that.
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
        // The worker's own periodic work would be among the steps.
        command.env("CLOAKROOM__SWEEP__INTERVAL", "1h").env("CLOAKROOM__WORKER__LEASE", "2s");
        let victim = ServerProcess::start(command);
        wait_for_number(&stack, "SELECT count(*) FROM jobs WHERE published_at IS NULL OR leased_until IS NOT NULL", 0)
            .await;
        trap.arm(step);
        let answer = portal.upload_preferring("respond-async", "small.jpg", read_picture("astronaut.jpg")).await;
        assert!(answer.status().is_success(), "{}", answer.status());
        acknowledged.push(answer.text().await.unwrap());
        let whole = tokio::select! {
            () = trap.sprung() => false,
            () = wait_for_number(&stack, "SELECT count(*) FROM jobs", 0) => true,
        };
        victim.kill();
        trap.clear();
        if whole {
            println!("a worker was killed before each of {step} steps");
            assert!(step > 15, "a job has more steps than {step}");
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

/// An api dies before its first step of an upload, its second, and so on: before the bytes are staged, between staging
/// and commit, between commit and publish, before the answer.
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
        assert!(step > 5, "an upload has more steps than {step}");
        let ends = settle_and_check(&stack, &acknowledged).await;
        assert_eq!((ends.ready, ends.failed), (1, 0), "{ends:?}");
        let failed = query_number(&stack, "SELECT count(*) FROM uploads WHERE state <> 'ready'").await;
        assert_eq!(failed, 0, "what was committed is done, answered or not");
        return stack.clean_up().await;
    }
    panic!("no upload was done within {MAX_STEPS} steps");
}

/// A machine that loses power closes no connection: the database holds the locks of its transaction until the server
/// ends the session.
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
        // A job that is not done in its round is taken by the workers of later rounds, and each costs it an attempt. On a
        // slow machine that is many.
        command.env("CLOAKROOM__WORKER__MAX_ATTEMPTS", "1000");
        let victim = ServerProcess::start(command);
        trap.arm(step);
        let answer = portal.upload_preferring("respond-async", "small.jpg", read_picture("astronaut.jpg")).await;
        acknowledged.push(answer.text().await.unwrap());
        trap.sprung().await;
        victim.kill();
        let held = "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid)
                    WHERE a.datname = current_database() AND a.state = 'idle in transaction'
                      AND l.relation = 'jobs'::regclass AND l.mode = 'RowExclusiveLock'";
        if query_number(&stack, held).await > 0 {
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
