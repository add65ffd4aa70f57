//! Sessions and their ends; on SQLite and PostgreSQL alike.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use upload::Role;
use uuid::Uuid;

use crate::home::{Home, MINUTE, on_both, user};

/// A new session of a user, for an hour.
async fn begin(home: &Home, id: &str) -> Uuid {
    let (session, user) = (Uuid::new_v4(), home.records.user(id).await.unwrap().unwrap());
    assert!(home.records.add_session(session, &user, in_an_hour(home)).await.unwrap());
    session
}

fn in_an_hour(home: &Home) -> Timestamp {
    home.clock.now() + SignedDuration::from_hours(1)
}

/// Whether a session counts.
async fn lasts(home: &Home, session: Uuid) -> bool {
    home.records.session(session).await.unwrap().is_some_and(|row| !row.revoked && !row.disabled)
}

#[tokio::test]
async fn a_session_ends_alone_or_with_all_of_its_user() {
    on_both(async |home| {
        home.records.put_user(&user("paul")).await.unwrap();
        let (one, other, pauls) = (begin(home, "mary").await, begin(home, "mary").await, begin(home, "paul").await);
        let row = home.records.session(one).await.unwrap().unwrap();
        assert_eq!((row.user.as_str(), row.role, row.ends_at), ("mary", Role::Member, in_an_hour(home)));
        for _ in 0..2 {
            home.records.end_session(one).await.unwrap();
        }
        assert_eq!((home.records.session(one).await.unwrap(), lasts(home, other).await), (None, true));
        assert!(home.records.end_sessions("mary").await.unwrap());
        assert!(!home.records.end_sessions("nobody").await.unwrap());
        assert!(!lasts(home, other).await && lasts(home, pauls).await);
        assert!(lasts(home, begin(home, "mary").await).await);
    })
    .await;
}

#[tokio::test]
async fn a_changed_password_and_a_disabled_account_end_them() {
    on_both(async |home| {
        let mut mary = user("mary");
        let session = begin(home, "mary").await;
        mary.role = Role::Admin;
        mary.name = "Mary, renamed".to_owned();
        home.records.put_user(&mary).await.unwrap();
        assert!(lasts(home, session).await, "another name or role is no reason to log in again");
        mary.password_hash = "another".to_owned();
        home.records.put_user(&mary).await.unwrap();
        assert!(!lasts(home, session).await);
        let session = begin(home, "mary").await;
        mary.disabled = true;
        home.records.put_user(&mary).await.unwrap();
        mary.disabled = false;
        home.records.put_user(&mary).await.unwrap();
        assert!(!lasts(home, session).await, "an account that is enabled again does not revive its sessions");
    })
    .await;
}

/// A login verifies the password for tens of milliseconds, in which the password may be changed.
#[tokio::test]
async fn a_login_does_not_outlive_a_password_that_is_changed_meanwhile() {
    on_both(async |home| {
        let before = home.records.user("mary").await.unwrap().unwrap();
        let mut mary = before.clone();
        mary.password_hash = "another".to_owned();
        home.records.put_user(&mary).await.unwrap();
        assert!(!home.records.add_session(Uuid::new_v4(), &before, in_an_hour(home)).await.unwrap());
        let before = mary.clone();
        mary.disabled = true;
        home.records.put_user(&mary).await.unwrap();
        assert!(!home.records.add_session(Uuid::new_v4(), &before, in_an_hour(home)).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn rows_that_have_ended_are_removed_in_batches() {
    on_both(async |home| {
        for _ in 0..5 {
            begin(home, "mary").await;
        }
        home.clock.advance(59 * MINUTE);
        let later = begin(home, "mary").await;
        assert_eq!(home.records.remove_ended_sessions(100).await.unwrap(), 0);
        home.clock.advance(MINUTE);
        for removed in [2, 2, 1, 0] {
            assert_eq!(home.records.remove_ended_sessions(2).await.unwrap(), removed);
        }
        assert!(lasts(home, later).await);
    })
    .await;
}

#[tokio::test]
async fn an_old_key_is_deleted_once_nothing_needs_it() {
    on_both(async |home| {
        let life = Duration::from_secs(90);
        let keys = async || -> Vec<String> {
            home.records.signing_keys().await.unwrap().into_iter().map(|key| key.id).collect()
        };
        let deleted = async || home.records.delete_old_signing_keys(life).await.unwrap();
        assert_eq!(deleted().await, 0);
        for id in ["first", "second"] {
            let key = upload::SigningKey { id: id.to_owned(), secret: "00".repeat(32) };
            home.records.add_signing_key(&key).await.unwrap();
            home.clock.advance(MINUTE);
        }
        assert_eq!((deleted().await, keys().await), (0, vec!["second".to_owned(), "first".to_owned()]));
        let until = home.clock.now() + SignedDuration::from_mins(10);
        assert!(home.records.need_signing_key("first", until).await.unwrap());
        assert!(home.records.need_signing_key("first", until - SignedDuration::from_mins(5)).await.unwrap());
        assert!(!home.records.need_signing_key("third", until).await.unwrap());
        home.clock.advance(MINUTE);
        assert_eq!(deleted().await, 0, "a bearer token needs it");
        home.clock.advance(9 * MINUTE);
        assert_eq!((deleted().await, keys().await), (1, vec!["second".to_owned()]));
        home.clock.advance(1000 * MINUTE);
        assert_eq!(deleted().await, 0, "the key that signs is never deleted");
    })
    .await;
}
