//! Tests migrations that several processes run at once, and databases that migrations refuse.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Database};
use test_support::proxy::{Proxy, RequestTrap};
use test_support::test_db::EmptyDatabase;

use crate::postgres_server::PgBouncer;

/// Runs all migrations eight times at once. For the database, the runs are like eight processes, because each run has a
/// connection of its own.
async fn migrate_eight_times_at_once(url: &str) {
    let migrating: Vec<_> = (0..8).map(|_| tokio::spawn(migrations::up(url.to_owned().leak()))).collect();
    let mut applied = Vec::new();
    for run in migrating {
        applied.extend(run.await.unwrap().unwrap());
    }
    applied.sort();
    let all: Vec<_> = migrations::status(url).await.unwrap().into_iter().map(|step| step.name).collect();
    assert_eq!(applied, all, "each migration is applied once, by any of the runs");
    assert!(migrations::up(url).await.unwrap().is_empty(), "the next run finds nothing to do");
}

#[tokio::test]
async fn eight_runs_migrate_a_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    migrate_eight_times_at_once(&format!("sqlite://{}", folder.path().join("new/records.db").display())).await;
}

#[tokio::test]
async fn eight_runs_migrate_postgres_at_once() {
    let Some(empty) = EmptyDatabase::create("").await else { return };
    migrate_eight_times_at_once(&empty.url).await;
    empty.drop_database().await;
}

#[tokio::test]
async fn eight_runs_migrate_through_a_pooler_at_once() {
    let Some(empty) = EmptyDatabase::create("").await else { return };
    for mode in ["transaction", "session"] {
        let Some(pooler) = PgBouncer::start(mode, 8, &empty.url).await else { break };
        migrate_eight_times_at_once(&pooler.url(&empty.name)).await;
        let db = Database::connect(&empty.url).await.unwrap();
        for sql in ["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"] {
            db.execute_unprepared(sql).await.unwrap();
        }
        db.close().await.unwrap();
    }
    empty.drop_database().await;
}

#[tokio::test]
async fn a_database_that_is_not_utf8_is_refused() {
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let Some(empty) = EmptyDatabase::create(&format!("ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")).await
        else {
            return;
        };
        let refused = migrations::up(&empty.url).await.unwrap_err().to_string();
        assert!(refused.contains(encoding) && refused.contains("CREATE DATABASE"), "{refused}");
        assert!(migrations::status(&empty.url).await.unwrap().iter().all(|step| !step.applied));
        empty.drop_database().await;
    }
}

/// A role reads the schema version before it starts. If the database does not answer, the role must not hang without a
/// message.
#[tokio::test]
async fn a_database_that_stops_answering_is_given_up() {
    let Some(empty) = EmptyDatabase::create("").await else { return };
    let trap = RequestTrap::default();
    let proxy = Proxy::with_trap(empty.host(), trap.clone()).await;
    // The trap holds the second message. The first message opens the connection.
    trap.arm(2);
    let url = format!("postgres://postgres@127.0.0.1:{}/{}?sslmode=disable", proxy.port, empty.name);
    let status = tokio::time::timeout(Duration::from_secs(60), migrations::status(&url)).await.expect("the call ends");
    let error = status.unwrap_err().to_string();
    assert!(error.contains("did not answer"), "{error}");
    drop(proxy);
    empty.drop_database().await;
}
