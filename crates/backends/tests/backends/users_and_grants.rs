//! Tests users, grants, and that processes agree on the time, on SQLite and PostgreSQL.

use std::time::Duration;

use domain::{Clock, Resource, Service};
use records::{LeaseResult, Role, SigningKey};
use test_support::test_db::{MINUTE, TestDb, admission, on_both_engines, processed_upload, user};

const MS: Duration = Duration::from_millis(1);

#[tokio::test]
async fn users_log_in_by_their_email_and_the_newest_key_signs() {
    on_both_engines(async |db| {
        assert!(!db.records.has_no_users().await.unwrap());
        let mut mary = user("mary");
        assert_eq!(db.records.user_by_email("MARY@Example.org").await.unwrap().unwrap(), mary);
        mary.role = Role::Admin;
        db.records.upsert_user(&mary).await.unwrap();
        assert_eq!(db.records.user("mary").await.unwrap().unwrap().role, Role::Admin);
        let mut thief = user("thief");
        thief.email = mary.email;
        db.records.upsert_user(&thief).await.unwrap_err();
        assert!(!db.records.insert_user_if_absent(&thief).await.unwrap(), "the address is taken");
        assert!(!db.records.insert_user_if_absent(&user("mary")).await.unwrap(), "the id is taken");
        assert_eq!(
            db.records.user("mary").await.unwrap().unwrap().role,
            Role::Admin,
            "the refused insertions changed nothing"
        );
        assert!(db.records.insert_user_if_absent(&user("adam")).await.unwrap());
        for id in ["old", "new"] {
            let key = SigningKey { id: id.to_owned(), secret: "00".repeat(32) };
            db.records.add_signing_key(&key).await.unwrap();
            db.clock.advance(MS);
        }
        let keys: Vec<_> = db.records.signing_keys().await.unwrap().into_iter().map(|key| key.id).collect();
        assert_eq!(keys, ["new", "old"]);
    })
    .await;
}

#[tokio::test]
async fn a_grant_lets_a_user_act_for_a_group() {
    on_both_engines(async |db| {
        let themselves = Resource { service: Service::Users, id: "mary".to_owned() };
        let group = Resource { service: Service::Groups, id: "choir".to_owned() };
        assert!(db.records.may_act_for("mary", &themselves).await.unwrap());
        assert!(!db.records.may_act_for("mary", &group).await.unwrap());
        for _ in 0..2 {
            db.records.grant_resource(&group, "mary").await.unwrap();
        }
        assert!(db.records.may_act_for("mary", &group).await.unwrap());
        assert!(!db.records.may_act_for("paul", &group).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn another_process_sees_the_same_records() {
    on_both_engines(async |db| {
        let admitted = db.records.admit(admission("mary")).await.unwrap();
        let other = TestDb::reopen(&db.url, &db.clock).await;
        assert_eq!(other.upload(admitted.id).await.unwrap(), db.records.upload(admitted.id).await.unwrap());
        other.close().await.unwrap();
    })
    .await;
}

/// If processes did not agree on the time, a machine whose clock is an hour ahead would treat the
/// uploads of all users as overdue.
#[tokio::test]
async fn processes_whose_clocks_differ_by_an_hour_agree_on_the_time() {
    let Some(db) = TestDb::postgres().await else { return };
    let hour = 3_600_000;
    let (ahead, behind) = (Clock::with_skew(hour), Clock::with_skew(-hour));
    let (api, sweeper) = (TestDb::reopen(&db.url, &behind).await, TestDb::reopen(&db.url, &ahead).await);
    let apart = ahead.now().duration_since(behind.now());
    assert!(apart.abs() < jiff::SignedDuration::from_secs(5), "{apart:?}");
    let admitted = api.admit(admission("mary")).await.unwrap();
    assert!(sweeper.fail_overdue(10).await.unwrap().is_empty());
    assert!(sweeper.expire(10).await.unwrap().is_empty());
    let LeaseResult::Leased(attempt) = sweeper.begin_attempt(&admitted.message, MINUTE).await.unwrap() else {
        panic!("busy")
    };
    assert!(matches!(api.begin_attempt(&admitted.message, MINUTE).await.unwrap(), LeaseResult::Busy(_)));
    api.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap();
    api.close().await.unwrap();
    sweeper.close().await.unwrap();
    db.close().await;
}
