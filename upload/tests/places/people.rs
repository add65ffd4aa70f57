//! People, grants, and the time that processes agree on; on SQLite and PostgreSQL alike.

use std::time::Duration;

use upload::{Clock, Resource, Role, Service, SigningKey, Start};

use crate::home::{Home, MINUTE, admission, made, on_both, user};

const MS: Duration = Duration::from_millis(1);

#[tokio::test]
async fn people_log_in_by_their_address_and_keys_sign_newest_first() {
    on_both(async |home| {
        assert!(!home.records.nobody_yet().await.unwrap());
        let mut mary = user("mary");
        assert_eq!(home.records.user_by_email("MARY@Example.org").await.unwrap().unwrap(), mary);
        mary.role = Role::Admin;
        home.records.put_user(&mary).await.unwrap();
        assert_eq!(home.records.user("mary").await.unwrap().unwrap().role, Role::Admin);
        let mut thief = user("thief");
        thief.email = mary.email;
        home.records.put_user(&thief).await.unwrap_err();
        assert!(!home.records.insert_user_if_absent(&thief).await.unwrap(), "the address is taken");
        assert!(!home.records.insert_user_if_absent(&user("mary")).await.unwrap(), "the id is taken");
        assert_eq!(home.records.user("mary").await.unwrap().unwrap().role, Role::Admin, "and nothing changed");
        assert!(home.records.insert_user_if_absent(&user("adam")).await.unwrap());
        for id in ["old", "new"] {
            let key = SigningKey { id: id.to_owned(), secret: "00".repeat(32) };
            home.records.add_signing_key(&key).await.unwrap();
            home.clock.advance(MS);
        }
        let keys: Vec<_> = home.records.signing_keys().await.unwrap().into_iter().map(|key| key.id).collect();
        assert_eq!(keys, ["new", "old"]);
    })
    .await;
}

#[tokio::test]
async fn grants_let_people_act_for_what_is_not_theirs() {
    on_both(async |home| {
        let themselves = Resource { service: Service::Users, id: "mary".to_owned() };
        let group = Resource { service: Service::Groups, id: "choir".to_owned() };
        assert!(home.records.may_act_for("mary", &themselves).await.unwrap());
        assert!(!home.records.may_act_for("mary", &group).await.unwrap());
        for _ in 0..2 {
            home.records.grant(&group, "mary").await.unwrap();
        }
        assert!(home.records.may_act_for("mary", &group).await.unwrap());
        assert!(!home.records.may_act_for("paul", &group).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn another_process_sees_the_same_truth() {
    on_both(async |home| {
        let admitted = home.records.admit(admission("mary")).await.unwrap();
        let other = Home::another(&home.url, &home.clock).await;
        assert_eq!(other.upload(admitted.id).await.unwrap(), home.records.upload(admitted.id).await.unwrap());
        other.close().await.unwrap();
    })
    .await;
}

/// A machine whose clock is an hour ahead would otherwise call everybody's uploads overdue.
#[tokio::test]
async fn processes_whose_clocks_differ_by_an_hour_agree_on_the_time() {
    let Some(home) = Home::postgres().await else { return };
    let hour = 3_600_000;
    let (ahead, behind) = (Clock::wrong_by(hour), Clock::wrong_by(-hour));
    let (api, sweeper) = (Home::another(&home.url, &behind).await, Home::another(&home.url, &ahead).await);
    let apart = ahead.now().duration_since(behind.now());
    assert!(apart.abs() < jiff::SignedDuration::from_secs(5), "{apart:?}");
    let admitted = api.admit(admission("mary")).await.unwrap();
    assert!(sweeper.fail_overdue(10).await.unwrap().is_empty());
    assert!(sweeper.expire(10).await.unwrap().is_empty());
    let Start::Run(attempt) = sweeper.begin_attempt(&admitted.ticket, MINUTE).await.unwrap() else { panic!("busy") };
    assert!(matches!(api.begin_attempt(&admitted.ticket, MINUTE).await.unwrap(), Start::Busy(_)));
    api.settle_ready(&attempt, made(&attempt)).await.unwrap();
    api.close().await.unwrap();
    sweeper.close().await.unwrap();
    home.end().await;
}
