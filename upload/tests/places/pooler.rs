//! Records behind PgBouncer, as Debian has it, with more clients than servers.

use std::time::Duration;

use futures::future::try_join_all;
use upload::{Clock, Faults, Pooler, Records, RecordsSettings, Secret, Settled};

use crate::home::{Empty, MINUTE, admission, made, user};
use crate::server::PgBouncer;

async fn open(url: &str, pooler: Pooler) -> Records {
    let settings =
        RecordsSettings { pooler, timeout: Duration::from_secs(60), ..RecordsSettings::new(Secret::new(url), 8) };
    Records::open(&settings, Clock::system(), Faults::default()).await.unwrap()
}

/// An upload's way through the records, with statements in transactions and by themselves.
async fn upload(records: &Records) -> Result<(), upload::RecordsError> {
    let admitted = records.admit(admission("mary")).await?;
    let upload::Start::Run(attempt) = records.begin_attempt(&admitted.ticket, MINUTE).await? else {
        panic!("the job cannot be had")
    };
    assert!(records.renew_lease(&attempt, MINUTE).await?);
    assert_eq!(records.settle_ready(&attempt, made(&attempt)).await?, Settled::Counted);
    assert_eq!(records.variants(admitted.id, 0).await?.len(), 3);
    assert!(records.upload(admitted.id).await?.is_some());
    Ok(())
}

async fn works(mode: &str, pooler: Pooler, servers: u32) {
    let Some(empty) = Empty::database("").await else { return };
    let Some(bouncer) = PgBouncer::start(mode, servers, &empty.url).await else { return empty.end().await };
    let url = bouncer.url(&empty.name);
    migrations::up(&url).await.unwrap();
    let processes = [open(&url, pooler).await, open(&url, pooler).await, open(&url, pooler).await];
    processes[0].put_user(&user("mary")).await.unwrap();
    try_join_all(processes.iter().flat_map(|records| (0..30).map(move |_| upload(records)))).await.unwrap();
    let census = processes[1].census().await.unwrap();
    assert_eq!((census.admitted, census.unaccounted()), (90, 0));
    for records in processes {
        records.ping().await.unwrap();
        records.close().await.unwrap();
    }
    drop(bouncer);
    empty.end().await;
}

#[tokio::test]
async fn behind_a_pooler_in_transaction_mode() {
    works("transaction", Pooler::Transaction, 3).await;
}

#[tokio::test]
async fn behind_a_pooler_in_session_mode_without_a_setting() {
    works("session", Pooler::None, 24).await;
}
