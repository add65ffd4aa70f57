//! Tests how sessions begin and end, and when old signing keys are deleted, on SQLite and PostgreSQL.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use records::Role;
use test_support::test_db::{MINUTE, TestDb, on_both_engines, user};
use uuid::Uuid;

/// Creates a session of a user, valid for an hour.
async fn add_session(db: &TestDb, id: &str) -> Uuid {
    let (session, user) = (Uuid::new_v4(), db.records.user(id).await.unwrap().unwrap());
    assert!(db.records.add_session(session, &user, in_an_hour(db)).await.unwrap());
    session
}

fn in_an_hour(db: &TestDb) -> Timestamp {
    db.clock.now() + SignedDuration::from_hours(1)
}

/// Whether a session is valid.
async fn is_valid(db: &TestDb, session: Uuid) -> bool {
    db.records.session(session).await.unwrap().is_some_and(|row| !row.revoked && !row.disabled)
}

#[tokio::test]
async fn a_session_ends_alone_or_with_all_sessions_of_its_user() {
    on_both_engines(async |db| {
        db.records.upsert_user(&user("paul")).await.unwrap();
        let (one, other, pauls) =
            (add_session(db, "mary").await, add_session(db, "mary").await, add_session(db, "paul").await);
        let row = db.records.session(one).await.unwrap().unwrap();
        assert_eq!((row.user.as_str(), row.role, row.ends_at), ("mary", Role::Member, in_an_hour(db)));
        for _ in 0..2 {
            db.records.end_session(one).await.unwrap();
        }
        assert_eq!((db.records.session(one).await.unwrap(), is_valid(db, other).await), (None, true));
        assert!(db.records.end_sessions("mary").await.unwrap());
        assert!(!db.records.end_sessions("nobody").await.unwrap());
        assert!(!is_valid(db, other).await && is_valid(db, pauls).await);
        assert!(is_valid(db, add_session(db, "mary").await).await);
    })
    .await;
}

#[tokio::test]
async fn a_changed_password_or_a_disabled_account_ends_all_sessions() {
    on_both_engines(async |db| {
        let mut mary = user("mary");
        let session = add_session(db, "mary").await;
        mary.role = Role::Admin;
        mary.name = "Mary, renamed".to_owned();
        db.records.upsert_user(&mary).await.unwrap();
        assert!(is_valid(db, session).await, "another name or role is no reason to log in again");
        mary.password_hash = "another".to_owned();
        db.records.upsert_user(&mary).await.unwrap();
        assert!(!is_valid(db, session).await);
        let session = add_session(db, "mary").await;
        mary.disabled = true;
        db.records.upsert_user(&mary).await.unwrap();
        mary.disabled = false;
        db.records.upsert_user(&mary).await.unwrap();
        assert!(!is_valid(db, session).await, "an account that is enabled again does not revive its sessions");
    })
    .await;
}

/// A login verifies the password for tens of milliseconds. The password may be changed during that time.
#[tokio::test]
async fn a_login_fails_if_its_password_is_changed_meanwhile() {
    on_both_engines(async |db| {
        let before = db.records.user("mary").await.unwrap().unwrap();
        let mut mary = before.clone();
        mary.password_hash = "another".to_owned();
        db.records.upsert_user(&mary).await.unwrap();
        assert!(!db.records.add_session(Uuid::new_v4(), &before, in_an_hour(db)).await.unwrap());
        let before = mary.clone();
        mary.disabled = true;
        db.records.upsert_user(&mary).await.unwrap();
        assert!(!db.records.add_session(Uuid::new_v4(), &before, in_an_hour(db)).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn ended_sessions_are_deleted_in_batches() {
    on_both_engines(async |db| {
        for _ in 0..5 {
            add_session(db, "mary").await;
        }
        db.clock.advance(59 * MINUTE);
        let later = add_session(db, "mary").await;
        assert_eq!(db.records.delete_ended_sessions(100).await.unwrap(), 0);
        db.clock.advance(MINUTE);
        for removed in [2, 2, 1, 0] {
            assert_eq!(db.records.delete_ended_sessions(2).await.unwrap(), removed);
        }
        assert!(is_valid(db, later).await);
    })
    .await;
}

#[tokio::test]
async fn an_old_key_is_deleted_once_nothing_needs_it() {
    on_both_engines(async |db| {
        let life = Duration::from_secs(90);
        let keys = async || -> Vec<String> {
            db.records.signing_keys().await.unwrap().into_iter().map(|key| key.id).collect()
        };
        let deleted = async || db.records.delete_old_signing_keys(life).await.unwrap();
        assert_eq!(deleted().await, 0);
        for id in ["first", "second"] {
            let key = records::SigningKey { id: id.to_owned(), secret: "00".repeat(32) };
            db.records.add_signing_key(&key).await.unwrap();
            db.clock.advance(MINUTE);
        }
        assert_eq!((deleted().await, keys().await), (0, vec!["second".to_owned(), "first".to_owned()]));
        let until = db.clock.now() + SignedDuration::from_mins(10);
        assert!(db.records.extend_signing_key("first", until).await.unwrap());
        assert!(db.records.extend_signing_key("first", until - SignedDuration::from_mins(5)).await.unwrap());
        assert!(!db.records.extend_signing_key("third", until).await.unwrap());
        db.clock.advance(MINUTE);
        assert_eq!(deleted().await, 0, "a bearer token needs the key");
        db.clock.advance(9 * MINUTE);
        assert_eq!((deleted().await, keys().await), (1, vec!["second".to_owned()]));
        db.clock.advance(1000 * MINUTE);
        assert_eq!(deleted().await, 0, "the key that signs is never deleted");
    })
    .await;
}
