//! PostgreSQL that vanishes without a word, becomes read-only, or is replaced by another server.

use std::time::Duration;

use futures::future::join_all;
use upload::{Clock, Faults, Records, RecordsError, RecordsSettings, Secret};

use crate::home::{Empty, admission, user};
use crate::proxy::{Proxy, Way};
use crate::server::Server;

const LIMIT: Duration = Duration::from_secs(8);
/// Much longer than what is under test, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

async fn open(proxy: &Proxy, database: &str) -> Records {
    let url = format!("postgres://postgres@127.0.0.1:{}/{database}", proxy.port);
    let settings = RecordsSettings { timeout: LIMIT, ..RecordsSettings::new(Secret::new(url), 4) };
    Records::open(&settings, Clock::system(), Faults::default()).await.unwrap()
}

async fn write(records: &Records) -> Result<(), RecordsError> {
    records.admit(admission("mary")).await.map(drop)
}

/// Opens all connections that the pool may have.
async fn fill(records: &Records) {
    for outcome in join_all((0..16).map(|_| write(records))).await {
        outcome.unwrap();
    }
}

/// Ends within the test's patience, whatever it ends in.
async fn ends<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, call).await.expect("a call ends at its limit")
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_and_its_connections_closed() {
    let Some(empty) = Empty::database("").await else { return };
    migrations::up(&empty.url).await.unwrap();
    let proxy = Proxy::to(empty.host()).await;
    let records = open(&proxy, &empty.name).await;
    records.put_user(&user("mary")).await.unwrap();

    // Every call ends, those that wait for a connection, too.
    fill(&records).await;
    proxy.set(Way::Silent);
    for outcome in ends(join_all((0..16).map(|_| write(&records)))).await {
        assert!(outcome.unwrap_err().is_transient());
    }
    proxy.set(Way::Open);
    ends(write(&records)).await.unwrap();

    // The connections stay silent and the server is there again: one call finds out for all of them.
    fill(&records).await;
    proxy.set(Way::Frozen);
    ends(write(&records)).await.ok();
    for outcome in ends(join_all((0..16).map(|_| write(&records)))).await {
        outcome.unwrap();
    }

    // Calls that are given up by their callers leave nothing in the pool that would wait for an answer.
    fill(&records).await;
    proxy.set(Way::Frozen);
    let given_up = (0..16).map(|_| tokio::time::timeout(Duration::from_millis(200), write(&records)));
    ends(join_all(given_up)).await;
    for outcome in ends(join_all((0..16).map(|_| write(&records)))).await {
        outcome.unwrap();
    }
    drop((records, proxy));
    empty.end().await;
}

/// Calls until it is as expected.
async fn until(records: &Records, expected: impl Fn(&Result<(), RecordsError>) -> bool) {
    let asked = async {
        while !expected(&write(records).await) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    ends(asked).await;
}

#[tokio::test]
async fn after_a_failover_no_connection_to_the_standby_stays() {
    let Some(primary) = Server::start().await else { return };
    let standby = primary.standby().await;
    migrations::up(&primary.url("postgres")).await.unwrap();
    let proxy = Proxy::to(&primary.host()).await;
    let records = open(&proxy, "postgres").await;
    records.put_user(&user("mary")).await.unwrap();
    fill(&records).await;

    // All connections break, and new ones lead to a server that takes no writes.
    proxy.lead_to(&standby.host());
    proxy.cut();
    until(&records, |outcome| matches!(outcome, Err(RecordsError::NotWritable(_)))).await;
    assert!(matches!(ends(records.ping()).await, Err(RecordsError::NotWritable(_))));
    for outcome in ends(join_all((0..16).map(|_| records.upload("1".parse().unwrap())))).await {
        assert!(outcome.is_err(), "no connection to it is used for reading either, and stays");
    }

    // New connections lead to the right one again, and nothing breaks the old ones.
    proxy.lead_to(&primary.host());
    ends(records.ping()).await.unwrap();
    fill(&records).await;
    drop((records, proxy));
}

/// As a pooler shows it, which puts another server behind a connection that stays.
#[tokio::test]
async fn a_server_that_becomes_read_only_under_its_connections_is_noticed_and_so_is_its_recovery() {
    let Some(server) = Server::start().await else { return };
    migrations::up(&server.url("postgres")).await.unwrap();
    let proxy = Proxy::to(&server.host()).await;
    let records = open(&proxy, "postgres").await;
    records.put_user(&user("mary")).await.unwrap();
    fill(&records).await;
    server.run_sql("ALTER SYSTEM SET default_transaction_read_only = on").await;
    server.run_sql("SELECT pg_reload_conf()").await;
    // A probe finds out by itself, before any write has failed.
    let pinged = async { while !matches!(records.ping().await, Err(RecordsError::NotWritable(_))) {} };
    ends(pinged).await;
    until(&records, |outcome| matches!(outcome, Err(RecordsError::NotWritable(_)))).await;
    server.run_sql("ALTER SYSTEM RESET default_transaction_read_only").await;
    server.run_sql("SELECT pg_reload_conf()").await;
    until(&records, Result::is_ok).await;
    ends(records.ping()).await.unwrap();
    fill(&records).await;
}

/// What a pooler does in a failover: the connections that it holds open lead to a server that takes no writes any more.
#[tokio::test]
async fn the_first_write_that_is_refused_closes_all_connections_of_its_age() {
    let (Some(former), Some(primary)) = (Server::start().await, Server::start().await) else { return };
    for server in [&former, &primary] {
        migrations::up(&server.url("postgres")).await.unwrap();
        let proxy = Proxy::to(&server.host()).await;
        open(&proxy, "postgres").await.put_user(&user("mary")).await.unwrap();
    }
    let proxy = Proxy::to(&former.host()).await;
    let records = open(&proxy, "postgres").await;
    fill(&records).await;
    former.run_sql("ALTER SYSTEM SET default_transaction_read_only = on").await;
    former.run_sql("SELECT pg_reload_conf()").await;
    proxy.lead_to(&primary.host());
    until(&records, |outcome| matches!(outcome, Err(RecordsError::NotWritable(_)))).await;
    for outcome in ends(join_all((0..16).map(|_| write(&records)))).await {
        outcome.unwrap();
    }
    drop((records, proxy));
}
