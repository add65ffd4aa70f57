//! Tests a worker whose records are on a full disk: its probe reports this, and the worker needs no restart once there
//! is space.

use std::sync::Arc;
use std::time::Duration;

use test_support::engine_stack::EngineStack;
use test_support::process::{DataFolder, ServerProcess};
use test_support::tmpfs::Tmpfs;

use super::read_only_database::wait_for_probe;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_not_ready_while_its_disk_is_full() {
    let Some(stack) = EngineStack::start().await else { return };
    let folder = DataFolder::new();
    let Some(disk) = Tmpfs::mount(folder.path(), "16m") else { return stack.clean_up().await };
    let records = format!("sqlite://{}", folder.path().join("records.db").display());
    migrations::up(&records).await.unwrap();
    let mut worker = stack.command(&["worker"]);
    worker.env("CLOAKROOM__RECORDS__URL", &records).env("CLOAKROOM__RECORDS__MIN_FREE", "0 B");
    let worker = ServerProcess::start(worker);
    let probe = format!("http://{}/readyz", worker.probes());
    wait_for_probe(&probe, (200, "ok")).await;

    let disk = Arc::new(disk);
    let filled = Arc::clone(&disk);
    let filling = tokio::spawn(async move { filled.keep_full(Duration::MAX).await });
    wait_for_probe(&probe, (503, "full")).await;
    filling.abort();
    wait_for_probe(&probe, (200, "ok")).await;
    assert_eq!(worker.stop(), Some(0));
    stack.clean_up().await;
}
