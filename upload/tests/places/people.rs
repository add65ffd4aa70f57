//! People, grants, dead letters in people's hands, and the time they agree on; on SQLite and PostgreSQL alike.

use std::time::Duration;

use upload::{Clock, Reason, Resource, Role, Service, SigningKey, Start, State};

use crate::home::{DEADLINE, Home, KEEP, MINUTE, admission, made, on_both, user};

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

#[tokio::test]
async fn a_dead_letter_is_tried_again_as_if_for_the_first_time() {
    on_both(async |home| {
        let admitted = home.admit().await;
        let attempt = home.run(&admitted.ticket).await;
        home.records.bury(&attempt, &Reason::new("gave_up", "five attempts"), "it crashed").await.unwrap();
        let dead = home.records.jobs(true, 10).await.unwrap();
        assert_eq!(
            dead.iter().map(|job| (job.id, job.last_error.as_deref())).collect::<Vec<_>>(),
            [(admitted.ticket.id, Some("it crashed"))]
        );
        home.clock.advance(2 * DEADLINE);
        let ticket = home.records.retry_job(admitted.ticket.id, DEADLINE).await.unwrap().unwrap();
        assert_eq!(ticket, admitted.ticket);
        assert!(home.records.retry_job(ticket.id, DEADLINE).await.unwrap().is_none(), "it is not dead any more");
        let upload = home.records.upload(admitted.id).await.unwrap().unwrap();
        assert_eq!((upload.state, upload.reason, upload.settled_at), (State::Accepted, None, None));
        assert!(home.records.fail_overdue(10).await.unwrap().is_empty(), "it has its time before it");
        let again = home.run(&ticket).await;
        assert_eq!(again.number, 1);
        home.records.settle_ready(&again, made(&again)).await.unwrap();
        assert_eq!(home.records.census().await.unwrap().unaccounted(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_is_given_up_and_an_expired_one_stays_dead() {
    on_both(async |home| {
        let (one, two) = (home.admit().await, home.admit().await);
        for admitted in [&one, &two] {
            let attempt = home.run(&admitted.ticket).await;
            home.records.bury(&attempt, &Reason::new("gave_up", "gave up"), "it crashed").await.unwrap();
        }
        assert!(home.records.drop_job(one.ticket.id).await.unwrap());
        assert!(!home.records.drop_job(one.ticket.id).await.unwrap());
        assert_eq!(home.records.upload(one.id).await.unwrap().unwrap().state, State::Failed);
        home.clock.advance(KEEP);
        assert!(home.records.retry_job(two.ticket.id, DEADLINE).await.unwrap().is_none());
        assert!(home.records.job(two.ticket.id).await.unwrap().unwrap().dead);
        assert_eq!(home.records.jobs_of(two.id).await.unwrap().len(), 1);
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
