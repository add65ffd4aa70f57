//! Tests a picture from upload to avatar on real engines: one process accepts it, another processes it, a third
//! serves it.

use std::time::{Duration, Instant};

use futures::future::join_all;
use test_support::engine_stack::EngineStack;
use test_support::invariants::{OutcomeCounts, settle_and_check, wait_for_number};
use test_support::portal::{PortalClient, read_picture};
use test_support::process::{FEDMEMBER, ServerProcess};
use test_support::proxy::{ProxyState, RequestTrap};

use crate::trace_collector::TraceCollector;
use crate::traces;

#[tokio::test(flavor = "multi_thread")]
async fn a_photograph_becomes_an_avatar_in_three_processes() {
    let Some(stack) = EngineStack::start().await else { return };
    let (api, other, worker) = (stack.api(), stack.api(), stack.worker());
    let portal = PortalClient::log_in(&api).await;
    let begun = Instant::now();
    let answer = portal.upload("astronaut.jpg", read_picture("astronaut.jpg")).await;
    assert_eq!(answer.status(), 200);
    assert!(begun.elapsed() < Duration::from_secs(20), "the outcome did not arrive in time: {:?}", begun.elapsed());
    let number = answer.text().await.unwrap();
    assert_eq!(number, "1001");
    let rejected = portal.upload("page.jpg", b"this is no picture".to_vec()).await;
    assert!(rejected.status().is_client_error(), "{}", rejected.status());

    let elsewhere = PortalClient::log_in(&other).await;
    // Two apis get a request for the same size at the same moment. One of them enqueues the size, and both answer with
    // it.
    let path = format!("/api/dropbox/pictures/{number}?size=333");
    let shown = join_all([portal.get(&path), elsewhere.get(&path)]).await;
    assert!(shown.iter().all(|shown| shown.status() == 200), "{shown:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "an outcome did not arrive in time: {:?}", begun.elapsed());
    let upload = elsewhere.json(&format!("/uploads/{number}")).await;
    let owner = upload["owner"].as_str().unwrap();
    assert_eq!(elsewhere.claim(&format!("users/{owner}.{FEDMEMBER}"), &number).await.status(), 200);
    assert_eq!(portal.get(&format!("/api/users/{owner}.{FEDMEMBER}/avatar?size=75")).await.status(), 200);

    assert_eq!(settle_and_check(&stack, &[number]).await, OutcomeCounts { ready: 1, ..OutcomeCounts::default() });
    for process in [api, other, worker] {
        assert_eq!(process.stop(), Some(0), "a drained process exits with status 0");
    }
    stack.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_refuses_an_old_schema_and_a_queue_in_memory() {
    let Some(stack) = EngineStack::start().await else { return };
    let refused = |arguments: &[&str], name: &str, value: &str| {
        let output = stack.command(arguments).env(name, value).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let empty = stack.command(&["migrate", "status"]).output().unwrap();
    assert!(empty.status.success(), "{}", String::from_utf8_lossy(&empty.stderr));
    let folder = test_support::process::DataFolder::new();
    let fresh = format!("sqlite://{}", folder.path().join("fresh.db").display());
    for role in [["api"].as_slice(), &["worker"], &["sweep", "--once"]] {
        let said = refused(role, "CLOAKROOM__RECORDS__URL", &fresh);
        assert!(said.contains("cloakroom migrate up"), "{role:?}: {said}");
    }
    for role in [["api"].as_slice(), &["worker"]] {
        let said = refused(role, "CLOAKROOM__QUEUE__URL", "memory:");
        assert!(said.contains("amqp://"), "{role:?}: {said}");
    }
    let backends = stack.open_backends().await;
    backends.queue.close().await;
    stack.clean_up().await;
}

/// A worker that is told to stop finishes its current jobs and returns the others, so that no job waits until a lease
/// expires.
#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_hands_its_work_to_the_next_one() {
    let Some(stack) = EngineStack::start().await else { return };
    let (api, first) = (stack.api(), stack.worker());
    let portal = PortalClient::log_in(&api).await;
    let photograph = read_picture("hubble.jpg");
    let sent = join_all((0..40).map(|_| portal.upload_preferring("respond-async", "hubble.jpg", photograph.clone())));
    let mut acknowledged = Vec::new();
    for answer in sent.await {
        assert!(answer.status().is_success(), "{}", answer.status());
        acknowledged.push(answer.text().await.unwrap());
    }
    let second = stack.worker();
    assert_eq!(first.stop(), Some(0));
    let ends = settle_and_check(&stack, &acknowledged).await;
    assert_eq!(ends.ready, 40, "{ends:?}");
    let attempts = "SELECT count(*) FROM events WHERE kind = 'attempt'";
    assert_eq!(test_support::invariants::query_number(&stack, attempts).await, 40);
    assert_eq!((second.stop(), api.stop()), (Some(0), Some(0)));
    stack.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_through_the_broker_and_through_an_outage_of_it() {
    let Some(stack) = EngineStack::start().await else { return };
    for relayed in [false, true] {
        let collector = TraceCollector::start();
        let traced = |role| {
            let mut command = stack.command(&[role]);
            command.env("CLOAKROOM__TRACES__ENDPOINT", &collector.endpoint);
            ServerProcess::start(command)
        };
        let (api, worker) = (traced("api"), traced("worker"));
        let portal = PortalClient::log_in(&api).await;
        if relayed {
            stack.broker.set(ProxyState::Broken);
            let handed_in = traces::upload_traced(&portal);
            let mend = async {
                wait_for_number(&stack, "SELECT count(*) FROM jobs", 1).await;
                stack.broker.set(ProxyState::Open);
            };
            tokio::join!(handed_in, mend);
        } else {
            traces::upload_traced(&portal).await;
        }
        assert_eq!((api.stop(), worker.stop()), (Some(0), Some(0)));
        traces::assert_complete_trace(&collector);
    }
    stack.clean_up().await;
}

/// After the first SIGTERM, a worker finishes its current job. After the second SIGTERM, it ends at once, and the next
/// worker takes the job.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_aborts_and_loses_nothing() {
    let Some(stack) = EngineStack::start().await else { return };
    let api = stack.api();
    let portal = PortalClient::log_in(&api).await;
    let proxies = stack.new_proxies(&RequestTrap::default()).await;
    proxies.store.set(ProxyState::Silent);
    let stuck = ServerProcess::start(stack.command_through(&proxies, &["worker"]));
    let answer = portal.upload_preferring("respond-async", "astronaut.jpg", read_picture("astronaut.jpg")).await;
    let number = answer.text().await.unwrap();
    wait_for_number(&stack, "SELECT count(*) FROM jobs WHERE leased_until IS NOT NULL", 1).await;
    stuck.terminate();
    stuck.wait_for_log("stopping").await;
    stuck.terminate();
    assert_eq!(stuck.wait_for_exit(), Some(143));
    let worker = stack.worker();
    assert_eq!(settle_and_check(&stack, &[number]).await, OutcomeCounts { ready: 1, ..OutcomeCounts::default() });
    assert_eq!((worker.stop(), api.stop()), (Some(0), Some(0)));
    stack.clean_up().await;
}

/// If the settings say so, requests for a picture are redirected to the store, with a URL that is valid for a limited
/// time.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_a_picture_is_redirected_to_the_store() {
    let Some(stack) = EngineStack::start().await else { return };
    let mut command = stack.command(&["api"]);
    command.env("CLOAKROOM__HTTP__PRESIGNED_URL_LIFETIME", "30s");
    let (api, _worker) = (ServerProcess::start(command), stack.worker());
    let portal = PortalClient::log_in(&api).await;
    assert_eq!(portal.upload("astronaut.jpg", read_picture("astronaut.jpg")).await.status(), 200);
    let path = "/api/dropbox/pictures/1001?size=75";
    let sent = portal.get_without_redirect(path).await;
    assert_eq!(sent.status(), 302);
    assert_eq!(sent.headers()["cache-control"], "no-store", "no cache keeps the address after it has expired");
    let there = sent.headers()["location"].to_str().unwrap().to_owned();
    assert!(there.contains("X-Amz-Expires=30") && there.contains("X-Amz-Signature="), "{there}");
    let shown = reqwest::get(&there).await.unwrap();
    assert_eq!((shown.status().as_u16(), &shown.headers()["content-type"]), (200, &"image/jpeg".parse().unwrap()));
    let forged = there.replace("X-Amz-Expires=30", "X-Amz-Expires=31");
    assert_eq!(reqwest::get(&forged).await.unwrap().status(), 403);
    let head = portal.request(reqwest::Method::HEAD, path).send().await.unwrap();
    assert_eq!(head.status(), 200, "HEAD is not redirected, because an address signed for GET does not work for HEAD");
    stack.clean_up().await;
}
