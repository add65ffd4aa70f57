//! Tests processes that stop while an engine does not answer, a worker whose database does not answer, and processes
//! that start concurrently.

use std::time::Duration;

use test_support::engine_stack::EngineStack;
use test_support::portal::PortalClient;
use test_support::process::ServerProcess;
use test_support::proxy::{ProxyState, RequestTrap};
use tokio::time::Instant;

use super::faults::{assert_all_ready, upload_many};

/// How long a process may take to end. Longer than `shutdown.grace_period` in these tests, and shorter than
/// `http.drain_timeout`.
const EXIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Asserts that every role ends by itself with work in progress, while an engine keeps its connections open and passes
/// no bytes.
async fn assert_all_roles_end(silence: impl Fn(&EngineStack)) {
    let Some(stack) = EngineStack::start().await else { return };
    let start = |role: &str| {
        let mut command = stack.command(&[role]);
        command.env("CLOAKROOM__SHUTDOWN__GRACE_PERIOD", "5s");
        ServerProcess::start(command)
    };
    let mut processes = vec![start("api"), start("worker"), start("sweep"), start("up")];
    let portal = PortalClient::log_in(&processes[0]).await;
    assert_eq!(upload_many(&portal, 8, |_| {}).await.len(), 8);
    silence(&stack);
    // Requests that hang until their process ends.
    let hanging = tokio::spawn(async move { upload_many(&portal, 8, |_| {}).await });
    for process in &processes {
        process.terminate();
    }
    let until = Instant::now() + EXIT_TIMEOUT;
    for process in &mut processes {
        while process.is_running() {
            assert!(Instant::now() < until, "a process hangs:\n{}", process.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    hanging.abort();
    for proxy in [&stack.broker, &stack.database, &stack.store] {
        proxy.set(ProxyState::Open);
    }
    // The processes ended in the middle of their work.
    stack.clean_up_leftovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_ends_while_the_database_says_nothing() {
    assert_all_roles_end(|stack| stack.database.set(ProxyState::Silent)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_ends_while_the_broker_says_nothing() {
    assert_all_roles_end(|stack| stack.broker.set(ProxyState::Silent)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_ends_while_the_store_says_nothing() {
    assert_all_roles_end(|stack| stack.store.set(ProxyState::Silent)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_apis_start_at_once_on_a_fresh_database() {
    let Some(stack) = EngineStack::start().await else { return };
    let starting = [stack.command(&["api"]), stack.command(&["api"])]
        .map(|command| tokio::task::spawn_blocking(|| ServerProcess::start(command)));
    for process in starting {
        let process = process.await.unwrap();
        PortalClient::log_in(&process).await;
    }
    stack.clean_up().await;
}

/// The database of a worker does not answer. Jobs that this worker has received and not begun have no lease, and no
/// other process knows that the worker hangs.
#[tokio::test(flavor = "multi_thread")]
async fn another_worker_does_the_jobs_of_a_worker_with_a_silent_database() {
    let Some(stack) = EngineStack::start().await else { return };
    let proxies = stack.new_proxies(&RequestTrap::default()).await;
    let _cut_off = ServerProcess::start(stack.command_through(&proxies, &["worker"]));
    // Messages are published again only after a tenth of this deadline, so republishing does not help here.
    let mut api = stack.command(&["api"]);
    api.env("CLOAKROOM__UPLOADS__DEADLINE", "2h");
    let api = ServerProcess::start(api);
    let portal = PortalClient::log_in(&api).await;
    proxies.database.set(ProxyState::Silent);
    let acknowledged = upload_many(&portal, 8, |_| {}).await;
    assert_eq!(acknowledged.len(), 8);
    let _other = stack.worker();
    assert_all_ready(&stack, &acknowledged).await;
    stack.clean_up().await;
}
