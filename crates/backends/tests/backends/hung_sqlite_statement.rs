//! Tests that no call waits forever for a database file that does not answer, and that all calls work again once the
//! file answers.

use std::time::Duration;

use domain::{Clock, Secret};
use instrument::FailPoints;
use records::{Records, RecordsSettings};
use sea_orm::{ConnectionTrait, Database};
use test_support::test_db::{admission, user};

#[tokio::test]
async fn a_statement_that_hangs_fails_and_later_statements_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("records.db").display());
    migrations::up(&url).await.unwrap();
    let settings = RecordsSettings { timeout: Duration::from_secs(1), ..RecordsSettings::new(Secret::new(&url), 4) };
    let records = Records::open(&settings, Clock::system(), FailPoints::default()).await.unwrap();
    records.upsert_user(&user("mary")).await.unwrap();
    let before = records.admit(admission("mary")).await.unwrap();
    // The statement takes several times the time limit. It has to end in this test, because the thread that runs it
    // cannot be stopped.
    let other = Database::connect(&url).await.unwrap();
    let slow = "CREATE TABLE n (i INTEGER);
        WITH RECURSIVE n1(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n1 LIMIT 700) INSERT INTO n SELECT i FROM n1;
        CREATE TRIGGER slow BEFORE INSERT ON uploads BEGIN SELECT count(*) FROM n a, n b, n c WHERE a.i + b.i < c.i; END";
    other.execute_unprepared(slow).await.unwrap();

    let refused = records.admit(admission("mary")).await.unwrap_err();
    assert!(refused.is_transient() && refused.to_string().contains("did not answer within 1s"), "{refused}");
    // Other connections are not affected.
    assert!(records.upload(before.id).await.unwrap().is_some());

    // The database may still be locked by the abandoned statement.
    while other.execute_unprepared("DROP TRIGGER slow").await.is_err() {}
    let after = records.admit(admission("mary")).await.unwrap();
    assert!(records.upload(after.id).await.unwrap().is_some());
    other.close().await.unwrap();
    records.close().await.unwrap();
}
