//! Tests records behind PgBouncer in Debian's configuration, with more clients than server connections.

use std::time::Duration;

use domain::{Clock, Secret};
use futures::future::try_join_all;
use instrument::FailPoints;
use records::{Pooler, Records, RecordsSettings, SettleResult};
use test_support::test_db::{EmptyDatabase, MINUTE, admission, processed_upload, user};

use crate::postgres_server::PgBouncer;

async fn open(url: &str, pooler: Pooler) -> Records {
    let settings =
        RecordsSettings { pooler, timeout: Duration::from_secs(60), ..RecordsSettings::new(Secret::new(url), 8) };
    Records::open(&settings, Clock::system(), FailPoints::default()).await.unwrap()
}

/// Runs all records calls of an upload, with statements inside transactions and outside.
async fn upload(records: &Records) -> Result<(), records::RecordsError> {
    let admitted = records.admit(admission("mary")).await?;
    let records::LeaseResult::Leased(attempt) = records.begin_attempt(&admitted.message, MINUTE).await? else {
        panic!("the job was not leased")
    };
    assert!(records.renew_lease(&attempt, MINUTE).await?);
    assert_eq!(records.settle_ready(&attempt, processed_upload(&attempt)).await?, SettleResult::Applied);
    assert_eq!(records.variants(admitted.id, 0).await?.len(), 3);
    assert!(records.upload(admitted.id).await?.is_some());
    Ok(())
}

async fn check_pooler(mode: &str, pooler: Pooler, servers: u32) {
    let Some(empty) = EmptyDatabase::create("").await else { return };
    let Some(bouncer) = PgBouncer::start(mode, servers, &empty.url).await else { return empty.drop_database().await };
    let url = bouncer.url(&empty.name);
    migrations::up(&url).await.unwrap();
    let processes = [open(&url, pooler).await, open(&url, pooler).await, open(&url, pooler).await];
    processes[0].upsert_user(&user("mary")).await.unwrap();
    try_join_all(processes.iter().flat_map(|records| (0..30).map(move |_| upload(records)))).await.unwrap();
    let stats = processes[1].stats().await.unwrap();
    assert_eq!((stats.admitted, stats.unaccounted()), (90, 0));
    for records in processes {
        records.ping().await.unwrap();
        records.close().await.unwrap();
    }
    drop(bouncer);
    empty.drop_database().await;
}

#[tokio::test]
async fn records_work_behind_a_pooler_in_transaction_mode() {
    check_pooler("transaction", Pooler::Transaction, 3).await;
}

#[tokio::test]
async fn records_work_behind_a_pooler_in_session_mode_without_a_setting() {
    check_pooler("session", Pooler::None, 24).await;
}
