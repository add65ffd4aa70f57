//! Late deliveries, which come after the final state, and wrong clocks of single machines.

use std::path::Path;

use serde_json::json;
use test_support::engine_stack::EngineStack;
use test_support::invariants::{query_number, settle_and_check, wait_for_number};
use test_support::portal::PortalClient;
use test_support::process::{FEDMEMBER, ServerProcess};

use super::faults::{assert_all_ready, upload_many};

/// The job message of an upload whose job is not done yet.
async fn open_job_message(backends: &backends::Backends, number: &str) -> domain::JobMessage {
    let id = number.parse().unwrap();
    let job = backends.records.processing_job(id).await.unwrap().unwrap();
    domain::JobMessage::new(job, domain::Job::ProcessPicture { upload: id })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_after_claim_after_removal_and_after_expiry_changes_nothing() {
    let Some(stack) = EngineStack::start().await else { return };
    let api = stack.api();
    let portal = PortalClient::log_in(&api).await;
    let backends = stack.open_backends().await;
    let acknowledged = upload_many(&portal, 3, |_| {}).await;
    let [claimed, removed, expired] = &acknowledged[..] else { panic!("{acknowledged:?}") };
    let mut messages = Vec::new();
    for number in &acknowledged {
        messages.push(open_job_message(&backends, number).await);
    }
    let worker = stack.worker();
    wait_for_number(&stack, "SELECT count(*) FROM jobs", 0).await;
    let owner = portal.json(&format!("/uploads/{claimed}")).await["owner"].as_str().unwrap().to_owned();
    let me = format!("users/{owner}.{FEDMEMBER}");
    assert_eq!(portal.claim(&me, removed).await.status(), 200);
    let gone = portal.request(reqwest::Method::DELETE, &format!("/api/{me}/picture")).send().await.unwrap();
    assert_eq!(gone.status(), 200);
    assert_eq!(portal.claim(&me, claimed).await.status(), 200);
    let expire = format!(
        "WITH late AS (UPDATE uploads SET expires_at = 1 WHERE id = {expired} RETURNING 1) \
         SELECT count(*) FROM late"
    );
    query_number(&stack, &expire).await;
    // The removal of the avatar deleted its picture.
    wait_for_number(&stack, "SELECT count(*) FROM uploads WHERE state = 'expired'", 2).await;

    let events = query_number(&stack, "SELECT count(*) FROM events").await;
    let avatars = query_number(&stack, "SELECT count(*) FROM avatars").await;
    for message in &messages {
        backends.queue.publish(message).await.unwrap();
    }
    // A picture that was sent later is done, so each earlier delivery was taken and acknowledged.
    let next = upload_many(&portal, 1, |_| {}).await;
    assert_all_ready(&stack, &[claimed.clone(), next[0].clone()]).await;
    let untouched = format!("SELECT count(*) FROM events WHERE upload_id <> {}", next[0]);
    assert_eq!(query_number(&stack, &untouched).await, events, "the late deliveries added no event");
    assert_eq!(query_number(&stack, "SELECT count(*) FROM avatars").await, avatars);
    assert_eq!(portal.get(&format!("/api/{me}/avatar?size=75")).await.status(), 200);
    assert_eq!(worker.stop(), Some(0));
    backends.queue.close().await;
    stack.clean_up().await;
}

/// The path of Debian's faketime library, if it is installed.
fn faketime() -> Option<&'static str> {
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"]
        .into_iter()
        .find(|library| Path::new(library).exists())
}

/// The clocks of an api and a worker are an hour ahead, and those of another api and worker are an hour behind. Nothing
/// expires early, and no lease is taken from a live worker.
#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_an_hour_off_do_no_harm() {
    let Some(library) = faketime() else {
        return eprintln!("skipped: this needs Debian's faketime, which tests/run installs");
    };
    // S3 itself refuses clients whose clocks differ by more than 15 minutes, so the stores are folders.
    let Some(stack) = EngineStack::start().await.map(EngineStack::with_folder_stores) else { return };
    let start_with_clock = |role: &str, by: &str| {
        let mut command = stack.command(&[role]);
        // Timers use the monotonic clock, which is not faked.
        command.env("LD_PRELOAD", library).env("FAKETIME", by).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command.env("CLOAKROOM__UPLOADS__RETENTION", "30m").env("CLOAKROOM__UPLOADS__DEADLINE", "10m");
        ServerProcess::start(command)
    };
    let processes = [
        start_with_clock("api", "+1h"),
        start_with_clock("worker", "-1h"),
        start_with_clock("worker", "+1h"),
        start_with_clock("api", "-1h"),
    ];
    let mut acknowledged = Vec::new();
    for api in [&processes[0], &processes[3]] {
        let portal = PortalClient::log_in(api).await;
        acknowledged.extend(upload_many(&portal, 15, |_| {}).await);
        // A session that one api created is valid at the other.
        assert_eq!(portal.get("/uploads/1001").await.status(), 200);
    }
    assert_eq!(acknowledged.len(), 30);
    let ends = settle_and_check(&stack, &acknowledged).await;
    assert_eq!(ends.ready, 30, "{ends:?}");
    let attempts = query_number(&stack, "SELECT count(*) FROM events WHERE kind = 'attempt'").await;
    assert_eq!(attempts, 30, "no lease ended early");
    for process in &processes {
        assert!(process.log().contains("clock differs"), "{}", json!(process.log()));
    }
    drop(processes);
    stack.clean_up().await;
}
