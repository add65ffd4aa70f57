//! Tests records whose PostgreSQL server vanishes silently, becomes read-only, or is replaced by another server.

use std::time::Duration;

use domain::{Clock, Secret};
use futures::future::join_all;
use instrument::FailPoints;
use records::{Records, RecordsError, RecordsSettings};
use test_support::proxy::{Proxy, ProxyState};
use test_support::test_db::{EmptyDatabase, admission, user};

use crate::postgres_server::PostgresServer;

const CALL_TIMEOUT: Duration = Duration::from_secs(8);
/// Much longer than the tested time limits, to allow for a busy machine.
const TEST_TIMEOUT: Duration = Duration::from_secs(90);

async fn open(proxy: &Proxy, database: &str) -> Records {
    let url = format!("postgres://postgres@127.0.0.1:{}/{database}", proxy.port);
    let settings = RecordsSettings { timeout: CALL_TIMEOUT, ..RecordsSettings::new(Secret::new(url), 4) };
    Records::open(&settings, Clock::system(), FailPoints::default()).await.unwrap()
}

async fn write_once(records: &Records) -> Result<(), RecordsError> {
    records.admit(admission("mary")).await.map(drop)
}

/// Opens all connections that the pool may have, by making more concurrent writes than that.
async fn open_all_connections(records: &Records) {
    for outcome in join_all((0..16).map(|_| write_once(records))).await {
        outcome.unwrap();
    }
}

/// Asserts that a call ends within `TEST_TIMEOUT`, whatever its result.
async fn within_timeout<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(TEST_TIMEOUT, call).await.expect("a call ends at its limit")
}

#[tokio::test]
async fn a_silent_server_is_given_up_and_its_connections_are_closed() {
    let Some(empty) = EmptyDatabase::create("").await else { return };
    migrations::up(&empty.url).await.unwrap();
    let proxy = Proxy::to(empty.host()).await;
    let records = open(&proxy, &empty.name).await;
    records.upsert_user(&user("mary")).await.unwrap();

    // Every call ends, also the calls that wait for a connection.
    open_all_connections(&records).await;
    proxy.set(ProxyState::Silent);
    for outcome in within_timeout(join_all((0..16).map(|_| write_once(&records)))).await {
        assert!(outcome.unwrap_err().is_transient());
    }
    proxy.set(ProxyState::Open);
    within_timeout(write_once(&records)).await.unwrap();

    // The connections stay silent although the server is reachable again. One call detects this for all of them.
    open_all_connections(&records).await;
    proxy.set(ProxyState::Frozen);
    within_timeout(write_once(&records)).await.ok();
    for outcome in within_timeout(join_all((0..16).map(|_| write_once(&records)))).await {
        outcome.unwrap();
    }

    // A call that its caller gives up leaves no connection in the pool that waits for an answer.
    open_all_connections(&records).await;
    proxy.set(ProxyState::Frozen);
    let given_up = (0..16).map(|_| tokio::time::timeout(Duration::from_millis(200), write_once(&records)));
    within_timeout(join_all(given_up)).await;
    for outcome in within_timeout(join_all((0..16).map(|_| write_once(&records)))).await {
        outcome.unwrap();
    }
    drop((records, proxy));
    empty.drop_database().await;
}

/// Repeats a write until its result is as expected.
async fn wait_until(records: &Records, expected: impl Fn(&Result<(), RecordsError>) -> bool) {
    let repeated = async {
        while !expected(&write_once(records).await) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    within_timeout(repeated).await;
}

#[tokio::test]
async fn after_a_failover_no_connection_to_the_standby_stays() {
    let Some(primary) = PostgresServer::start().await else { return };
    let standby = primary.standby().await;
    migrations::up(&primary.url("postgres")).await.unwrap();
    let proxy = Proxy::to(&primary.host()).await;
    let records = open(&proxy, "postgres").await;
    records.upsert_user(&user("mary")).await.unwrap();
    open_all_connections(&records).await;

    // All connections break, and new connections lead to a server that accepts no writes.
    proxy.lead_to(&standby.host());
    proxy.cut();
    wait_until(&records, |outcome| matches!(outcome, Err(RecordsError::NotWritable(_)))).await;
    assert!(matches!(within_timeout(records.ping()).await, Err(RecordsError::NotWritable(_))));
    for outcome in within_timeout(join_all((0..16).map(|_| records.upload("1".parse().unwrap())))).await {
        assert!(outcome.is_err(), "no connection to the standby stays, so reads fail too");
    }

    // New connections lead to the primary again, and nothing breaks the old ones.
    proxy.lead_to(&primary.host());
    within_timeout(records.ping()).await.unwrap();
    open_all_connections(&records).await;
    drop((records, proxy));
}

/// The server becomes read-only while its connections stay open. A pooler has this effect too, if it puts a read-only
/// server behind a connection that stays open.
#[tokio::test]
async fn records_notice_a_server_that_becomes_read_only_and_its_recovery() {
    let Some(server) = PostgresServer::start().await else { return };
    migrations::up(&server.url("postgres")).await.unwrap();
    let proxy = Proxy::to(&server.host()).await;
    let records = open(&proxy, "postgres").await;
    records.upsert_user(&user("mary")).await.unwrap();
    open_all_connections(&records).await;
    server.run_sql("ALTER SYSTEM SET default_transaction_read_only = on").await;
    server.run_sql("SELECT pg_reload_conf()").await;
    // A probe detects the change by itself, before any write has failed.
    let pinged = async { while !matches!(records.ping().await, Err(RecordsError::NotWritable(_))) {} };
    within_timeout(pinged).await;
    wait_until(&records, |outcome| matches!(outcome, Err(RecordsError::NotWritable(_)))).await;
    server.run_sql("ALTER SYSTEM RESET default_transaction_read_only").await;
    server.run_sql("SELECT pg_reload_conf()").await;
    wait_until(&records, Result::is_ok).await;
    within_timeout(records.ping()).await.unwrap();
    open_all_connections(&records).await;
}

/// All connections stay open, but their server no longer accepts writes. A pooler causes this in a failover, because it
/// holds connections open.
#[tokio::test]
async fn the_first_refused_write_closes_all_connections_of_its_age() {
    let (Some(former), Some(primary)) = (PostgresServer::start().await, PostgresServer::start().await) else { return };
    for server in [&former, &primary] {
        migrations::up(&server.url("postgres")).await.unwrap();
        let proxy = Proxy::to(&server.host()).await;
        open(&proxy, "postgres").await.upsert_user(&user("mary")).await.unwrap();
    }
    let proxy = Proxy::to(&former.host()).await;
    let records = open(&proxy, "postgres").await;
    open_all_connections(&records).await;
    former.run_sql("ALTER SYSTEM SET default_transaction_read_only = on").await;
    former.run_sql("SELECT pg_reload_conf()").await;
    proxy.lead_to(&primary.host());
    wait_until(&records, |outcome| matches!(outcome, Err(RecordsError::NotWritable(_)))).await;
    for outcome in within_timeout(join_all((0..16).map(|_| write_once(&records)))).await {
        outcome.unwrap();
    }
    drop((records, proxy));
}

/// For each connection that a server on this port has accepted: the time until this machine sends the next keepalive,
/// None if it sends none. Rule: https://docs.kernel.org/networking/proc_net_tcp.html
fn keepalives_due(port: u16) -> Vec<Option<Duration>> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let established = rows.filter(|row| row[1].ends_with(&format!(":{port:04X}")) && row[3] == "01");
    let due = |row: Vec<&str>| {
        let (timer, when) = row[5].split_once(':')?;
        let hundredths = u64::from_str_radix(when, 16).ok()?;
        (timer == "02").then(|| Duration::from_millis(10 * hundredths))
    };
    established.map(due).collect()
}

#[tokio::test]
async fn a_server_soon_notices_that_a_client_has_vanished() {
    let Some(server) = PostgresServer::start().await else { return };
    migrations::up(&server.url("postgres")).await.unwrap();
    let proxy = Proxy::to(&server.host()).await;
    let records = open(&proxy, "postgres").await;
    records.upsert_user(&user("mary")).await.unwrap();
    open_all_connections(&records).await;
    let all_due_soon = async {
        loop {
            let due = keepalives_due(server.port);
            if due.len() >= 4 && due.iter().all(|due| due.is_some_and(|due| due <= Duration::from_secs(30))) {
                return;
            }
            // A connection whose data is in transit at this moment has another timer, so the table is read again.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within_timeout(all_due_soon).await;
    drop((records, proxy));
}
