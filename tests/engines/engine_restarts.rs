//! Tests engines that an operator restarts under load. These tests need engines that `tests/engines/start` started.

use std::process::Command;

use test_support::engine_stack::EngineStack;
use test_support::portal::PortalClient;

use super::faults::{assert_all_ready, upload_many};

/// Starts `tests/engines/restart`, which runs concurrently with the load.
fn start_engine_script(what: &str, folder: &str) -> std::process::Child {
    let script = format!("{}/tests/engines/restart", env!("CARGO_MANIFEST_DIR"));
    Command::new(script).args([folder, what]).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_and_the_database_are_restarted_and_all_connections_closed_under_load() {
    let Ok(folder) = std::env::var("CLOAKROOM_TEST_FOLDER") else {
        return eprintln!("skipped: this restarts engines, and does so only with those that tests/run started");
    };
    let Some(stack) = EngineStack::start_exclusive().await else { return };
    let (api, _worker) = (stack.api(), stack.worker());
    let portal = PortalClient::log_in(&api).await;
    let mut acknowledged = Vec::new();
    for what in ["connections", "broker", "database"] {
        let mut operator = None;
        // While the database is down, uploads are refused. So fewer than 60 may be acknowledged.
        let taken = upload_many(&portal, 60, |done| {
            if done == 20 {
                operator = Some(start_engine_script(what, &folder));
            }
        });
        acknowledged.extend(taken.await);
        assert!(operator.expect("20 uploads were acknowledged").wait().unwrap().success(), "{what}");
    }
    assert!(acknowledged.len() >= 140, "{}", acknowledged.len());
    assert_all_ready(&stack, &acknowledged).await;
    stack.clean_up().await;
}

/// A broker that is short of memory reads nothing from publishers. Uploads are accepted all the same, and their jobs
/// are processed after the broker has recovered.
#[tokio::test(flavor = "multi_thread")]
async fn the_broker_raises_an_alarm() {
    let Ok(folder) = std::env::var("CLOAKROOM_TEST_FOLDER") else {
        return eprintln!("skipped: this alarms an engine, and does so only with one that tests/run started");
    };
    let Some(stack) = EngineStack::start_exclusive().await else { return };
    let (api, _worker) = (stack.api(), stack.worker());
    let portal = PortalClient::log_in(&api).await;
    let mut acknowledged = upload_many(&portal, 10, |_| {}).await;
    assert!(start_engine_script("alarm", &folder).wait().unwrap().success());
    acknowledged.extend(upload_many(&portal, 20, |_| {}).await);
    let ready = portal.get("/readyz").await;
    let report: serde_json::Value = ready.json().await.unwrap();
    assert_eq!(report["places"]["queue"], "down", "{report}");
    assert!(start_engine_script("calm", &folder).wait().unwrap().success());
    assert_eq!(acknowledged.len(), 30, "an upload does not need the broker");
    assert_all_ready(&stack, &acknowledged).await;
    stack.clean_up().await;
}
