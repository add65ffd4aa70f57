//! Tests a database that accepts no writes for a while: probes report it, and processes need no restart when it
//! recovers.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde_json::Value;
use test_support::engine_stack::EngineStack;
use test_support::portal::{PortalClient, read_picture};
use test_support::process::ServerProcess;

use super::faults::{assert_all_ready, upload_many};

/// The response of a probe: the status and the state of the records.
async fn get_probe(url: &str) -> Option<(u16, String)> {
    let answer = test_support::portal::http_client().get(url).send().await.ok()?;
    let status = answer.status().as_u16();
    let report: Value = answer.json().await.ok()?;
    let records = report.get("places").unwrap_or(&report)["records"].as_str()?.to_owned();
    Some((status, records))
}

pub(super) async fn wait_for_probe(url: &str, expected: (u16, &str)) {
    let asked = async {
        while get_probe(url).await.is_none_or(|(status, records)| (status, records.as_str()) != expected) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let patience = Duration::from_secs(90);
    tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| panic!("{url} never says {expected:?}"));
}

/// Changes whether sessions that begin later may write. A failover has the same effect.
async fn set_default_transaction_mode(stack: &EngineStack, how: &str) {
    let sql = format!(
        "SET TRANSACTION READ WRITE; DO $$ BEGIN EXECUTE \
         format('ALTER DATABASE %I {how}', current_database()); END $$"
    );
    stack.records.execute_unprepared(&sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_fail_while_the_records_cannot_be_written() {
    let Some(stack) = EngineStack::start().await else { return };
    let api = stack.api();
    let worker = ServerProcess::start(stack.command(&["worker"]));
    let probes = [api.url("/readyz"), format!("http://{}/readyz", worker.probes())];
    let portal = PortalClient::log_in(&api).await;
    let mut acknowledged = upload_many(&portal, 8, |_| {}).await;
    for url in &probes {
        wait_for_probe(url, (200, "ok")).await;
    }
    set_default_transaction_mode(&stack, "SET default_transaction_read_only = on").await;
    stack.database.cut();
    for url in &probes {
        wait_for_probe(url, (503, "not writable")).await;
    }
    assert!(upload_many(&portal, 4, |_| {}).await.is_empty(), "an upload that cannot be recorded is not acknowledged");
    let refused = portal.upload_preferring("respond-async", "astronaut.jpg", read_picture("astronaut.jpg")).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let said = refused.text().await.unwrap();
    assert_eq!(said, "The database of this service takes no writes at the moment; try again later.");
    set_default_transaction_mode(&stack, "RESET default_transaction_read_only").await;
    for url in &probes {
        wait_for_probe(url, (200, "ok")).await;
    }
    let again = upload_many(&portal, 8, |_| {}).await;
    assert_eq!(again.len(), 8, "every connection takes writes again");
    acknowledged.extend(again);
    assert_all_ready(&stack, &acknowledged).await;
    stack.clean_up().await;
}
