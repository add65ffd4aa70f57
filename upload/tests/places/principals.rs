//! The counters of what each user has in flight and stored, against a full count, and the queues that they lead to. On
//! SQLite and PostgreSQL alike.

use std::time::Duration;

use futures::future::join_all;
use sea_orm::{ConnectionTrait, Database};
use upload::{
    Admission, Admitted, FileAdmission, Lane, Place, Reason, Records, Settled, Start, Ticket, UploadId, Usage, Wanted,
};

use crate::files::{self, file, rendition};
use crate::home::{DEADLINE, Home, KEEP, MINUTE, admission, made, on_both, user, variant};

/// What Mary has, and that every counter says what a full count says.
async fn usage(home: &Home) -> (u64, u64, u64) {
    assert_eq!(home.records.recount().await.unwrap(), Vec::<String>::new(), "a counter was wrong");
    let Usage { uploads, variants, bytes } = home.records.usage("mary").await.unwrap();
    (uploads, variants, bytes)
}

const SENT: u64 = 1234;
const MADE: u64 = 4321;

fn no() -> Reason {
    Reason::new("no", "no")
}

async fn order(records: &Records, upload: UploadId, name: &str) -> Ticket {
    let Wanted::Ordered(ticket) = records.want_variant(upload, 0, name.parse().unwrap()).await.unwrap() else {
        panic!("not ordered")
    };
    ticket
}

#[tokio::test]
async fn the_counters_say_what_a_full_count_says_after_every_step_of_a_picture() {
    on_both(async |home| {
        let records = &home.records;
        assert_eq!(usage(home).await, (0, 0, 0));
        let rejected = home.admit().await;
        assert_eq!(usage(home).await, (1, 0, SENT));
        records.settle_rejected(&home.run(&rejected.ticket).await, &no()).await.unwrap();
        assert_eq!(usage(home).await, (0, 0, 0));

        let dead = home.admit().await;
        records.bury(&home.run(&dead.ticket).await, &no(), "no").await.unwrap();
        assert_eq!(usage(home).await, (0, 0, 0), "a failure of ours is nobody's to pay");
        records.retry_job(dead.ticket.id, DEADLINE).await.unwrap().unwrap();
        assert_eq!(usage(home).await, (1, 0, SENT));
        home.clock.advance(DEADLINE);
        assert_eq!(records.fail_overdue(10).await.unwrap().len(), 1);
        assert_eq!(usage(home).await, (0, 0, 0));
        assert!(records.drop_job(dead.ticket.id).await.unwrap());
        assert_eq!(usage(home).await, (0, 0, 0));

        let ready = home.ready().await;
        assert_eq!(usage(home).await, (0, 0, SENT + 3 * MADE));
        let ticket = order(records, ready.id, "64.png").await;
        assert_eq!(usage(home).await, (0, 1, SENT + 3 * MADE));
        let attempt = home.run(&ticket).await;
        let small = variant(&attempt, "64.png");
        assert_eq!(records.settle_variant(&attempt, 0, &small).await.unwrap(), Settled::Counted);
        assert_eq!(usage(home).await, (0, 0, SENT + 4 * MADE));
        assert_eq!(records.settle_variant(&attempt, 0, &small).await.unwrap(), Settled::Void);
        let refused = order(records, ready.id, "65.png").await;
        records.refuse_variant(&home.run(&refused).await, &no()).await.unwrap();
        let broken = order(records, ready.id, "66.png").await;
        records.bury(&home.run(&broken).await, &no(), "no").await.unwrap();
        assert_eq!(usage(home).await, (0, 0, SENT + 4 * MADE));
        records.retry_job(broken.id, DEADLINE).await.unwrap().unwrap();
        assert_eq!(usage(home).await, (0, 1, SENT + 4 * MADE));

        let late = order(records, ready.id, "67.png").await;
        home.clock.advance(DEADLINE);
        let given_up = records.give_up_variants(10).await.unwrap();
        let mut given_up: Vec<_> = given_up.into_iter().map(|(_, job, _)| job).collect();
        given_up.sort();
        assert_eq!(given_up, [broken.id, late.id]);
        assert_eq!(usage(home).await, (0, 0, SENT + 4 * MADE));
        order(records, ready.id, "67.png").await;
        let waiting = home.admit().await;
        assert_eq!(usage(home).await, (1, 1, 2 * SENT + 4 * MADE));
        home.clock.advance(KEEP);
        assert_eq!(records.expire(10).await.unwrap().len(), 2, "one that is ready and one that waits");
        assert_eq!(usage(home).await, (0, 0, 0));
        assert!(matches!(records.begin_attempt(&waiting.ticket, MINUTE).await.unwrap(), Start::Gone));
    })
    .await;
}

#[tokio::test]
async fn they_count_files_and_renditions_as_well_until_those_are_deleted() {
    on_both(async |home| {
        let (id, version) = file(home).await;
        assert_eq!(usage(home).await, (0, 0, 12));
        let admit = async |place| home.records.admit_into_file(files::admission(place)).await.unwrap();
        let small = admit(rendition(version, "small")).await.unwrap();
        assert_eq!(usage(home).await, (1, 0, 24));
        admit(rendition(version, "SMALL")).await.unwrap_err();
        assert_eq!(usage(home).await, (1, 0, 24), "its name was taken");
        let attempt = home.run(&small.ticket).await;
        home.records.settle_ready(&attempt, made(&attempt)).await.unwrap();
        assert_eq!(usage(home).await, (0, 0, 24 + 3 * MADE));
        let kept = home.records.rendition(version, "small").await.unwrap().unwrap();
        assert!(home.records.remove_rendition(&kept, "mary").await.unwrap());
        assert!(!home.records.remove_rendition(&kept, "mary").await.unwrap());
        assert_eq!(usage(home).await, (0, 0, 12));
        let next = admit(Place::NextVersion(id)).await.unwrap();
        files::settle(home, &next).await;
        assert_eq!(usage(home).await, (0, 0, 24));
    })
    .await;
}

#[tokio::test]
async fn a_job_goes_to_bulk_or_heavy_and_stays_there() {
    on_both(async |home| {
        let mut admitted = Vec::new();
        for n in 1..=9 {
            let one = home.admit().await;
            let expected = if n <= 8 { Lane::Pictures } else { Lane::Bulk };
            assert_eq!((one.ticket.lane, one.ticket.principal.as_str()), (expected, "mary"));
            admitted.push(one);
        }
        let heavy = || {
            let mut heavy = admission("paul");
            heavy.staged.estimate = Duration::from_secs(1);
            heavy
        };
        let slow = home.records.admit(heavy()).await.unwrap();
        assert_eq!(slow.ticket.lane, Lane::Heavy);
        home.clock.advance(MINUTE);
        let relayed = home.records.take_unpublished(100).await.unwrap();
        let mut relayed: Vec<Ticket> = relayed.into_iter().map(|one| one.ticket).collect();
        relayed.sort_by_key(|ticket| ticket.id);
        let sent = admitted.iter().map(|one| one.ticket.clone()).chain([slow.ticket.clone()]);
        assert_eq!(relayed, sent.collect::<Vec<_>>(), "the relay publishes into the same queues");

        // One less in flight: the next is one of few again.
        let attempt = home.run(&admitted[0].ticket).await;
        home.records.settle_ready(&attempt, made(&attempt)).await.unwrap();
        let attempt = home.run(&admitted[1].ticket).await;
        home.records.settle_ready(&attempt, made(&attempt)).await.unwrap();
        assert_eq!(home.admit().await.ticket.lane, Lane::Pictures);
        assert_eq!(order(&home.records, admitted[0].id, "64.png").await.lane, Lane::Bulk);

        let attempt = home.run(&slow.ticket).await;
        assert_eq!((attempt.ticket.lane, attempt.upload.estimate), (Lane::Heavy, Duration::from_secs(1)));
        home.records.bury(&attempt, &no(), "no").await.unwrap();
        let again = home.records.retry_job(slow.ticket.id, DEADLINE).await.unwrap().unwrap().ticket;
        assert_eq!((again.lane, again.principal.as_str()), (Lane::Heavy, "paul"));
        home.records.put_user(&user("paul")).await.unwrap();
        let attempt = home.run(&again).await;
        assert_eq!(home.records.settle_ready(&attempt, made(&attempt)).await.unwrap(), Settled::Counted);
        assert_eq!(
            order(&home.records, slow.id, "64.png").await.lane,
            Lane::Heavy,
            "the original is as heavy as before"
        );
    })
    .await;
}

/// Admitted by a process of the version before, which knows neither queue nor principal nor counters.
async fn as_before(home: &Home) -> Admitted {
    let admitted = home.admit().await;
    let db = Database::connect(&home.url).await.unwrap();
    let id = admitted.id;
    for sql in [
        format!("UPDATE jobs SET queue = '', principal = '' WHERE upload_id = {id}"),
        format!("UPDATE principals SET uploads = uploads - 1, bytes = bytes - {SENT}"),
    ] {
        db.execute_unprepared(&sql).await.unwrap();
    }
    db.close().await.unwrap();
    admitted
}

#[tokio::test]
async fn what_an_older_api_admits_makes_no_counter_wrong_for_good() {
    on_both(async |home| {
        let admitted = as_before(home).await;
        assert_eq!(usage(home).await, (0, 0, 0));
        let attempt = home.run(&admitted.ticket).await;
        assert_eq!((attempt.ticket.lane, attempt.ticket.principal.as_str()), (Lane::Pictures, ""));
        home.records.settle_ready(&attempt, made(&attempt)).await.unwrap();
        assert_eq!(usage(home).await, (0, 0, SENT + 3 * MADE));
        let attempt = home.run(&as_before(home).await.ticket).await;
        home.records.settle_rejected(&attempt, &no()).await.unwrap();
        let attempt = home.run(&as_before(home).await.ticket).await;
        home.records.bury(&attempt, &no(), "no").await.unwrap();
        as_before(home).await;
        home.clock.advance(DEADLINE);
        assert_eq!(home.records.fail_overdue(10).await.unwrap().len(), 1);
        assert_eq!(usage(home).await, (0, 0, SENT + 3 * MADE));
        as_before(home).await;
        home.clock.advance(KEEP);
        assert_eq!(home.records.expire(10).await.unwrap().len(), 2);
        assert_eq!(usage(home).await, (0, 0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_wrong_counter_is_found_and_corrected() {
    on_both(async |home| {
        home.admit().await;
        let db = Database::connect(&home.url).await.unwrap();
        db.execute_unprepared("UPDATE principals SET uploads = 7, bytes = -5").await.unwrap();
        assert_eq!(home.records.usage("mary").await.unwrap().bytes, 0);
        assert_eq!(home.records.recount().await.unwrap(), ["mary"]);
        assert_eq!(usage(home).await, (1, 0, SENT));
        db.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_was_there_before_there_were_counters_is_counted() {
    on_both(async |home| {
        home.admit().await;
        let ready = home.ready().await;
        let ordered = home.records.want_variant(ready.id, 0, "64.png".parse().unwrap()).await.unwrap();
        assert!(matches!(ordered, Wanted::Ordered(_)), "{ordered:?}");
        let before = usage(home).await;
        let db = Database::connect(&home.url).await.unwrap();
        for sql in [
            "DROP TABLE principals",
            "ALTER TABLE jobs DROP COLUMN queue",
            "ALTER TABLE jobs DROP COLUMN principal",
            "ALTER TABLE uploads DROP COLUMN estimate",
            "DELETE FROM seaql_migrations WHERE version = 'm0008_principals'",
        ] {
            db.execute_unprepared(sql).await.unwrap();
        }
        assert_eq!(migrations::up(&home.url).await.unwrap(), ["m0008_principals"]);
        assert_eq!(usage(home).await, before);
        assert!(home.records.recount().await.unwrap().is_empty());
        db.close().await.unwrap();
    })
    .await;
}

/// What one worker does with what it gets: every way in which a job can end.
async fn end(records: &Records, admitted: Admitted, n: usize) {
    let Start::Run(attempt) = records.begin_attempt(&admitted.ticket, MINUTE).await.unwrap() else { return };
    match n % 4 {
        0 => drop(records.settle_rejected(&attempt, &no()).await.unwrap()),
        1 => {
            records.bury(&attempt, &no(), "no").await.unwrap();
            records.retry_job(admitted.ticket.id, DEADLINE).await.unwrap();
        }
        // Left to the sweeper.
        2 => {}
        _ => {
            let counted = records.settle_ready(&attempt, made(&attempt)).await.unwrap() == Settled::Counted;
            if counted
                && let Ok(Wanted::Ordered(ticket)) =
                    records.want_variant(admitted.id, 0, "64.png".parse().unwrap()).await
                && let Start::Run(attempt) = records.begin_attempt(&ticket, MINUTE).await.unwrap()
            {
                records.settle_variant(&attempt, 0, &variant(&attempt, "64.png")).await.unwrap();
            }
        }
    }
}

/// Two users whose uploads are admitted, settled, failed at the deadline and expired by many at the same time: nobody waits
/// for each other in a circle, and nothing is counted twice or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn many_writers_at_once_keep_them_right() {
    on_both(async |home| {
        for id in ["ann", "bob"] {
            home.records.put_user(&user(id)).await.unwrap();
        }
        let (file, _) = file(home).await;
        let writers = (0..40).map(|n: usize| {
            let (records, clock, file) = (home.records.clone(), home.clock.clone(), file.clone());
            tokio::spawn(async move {
                for turn in 0..4 {
                    let owner = ["ann", "bob", "mary"][(n + turn) % 3];
                    let admitted = if owner == "mary" {
                        let into = FileAdmission { ..files::admission(Place::NextVersion(file.clone())) };
                        records.admit_into_file(into).await.unwrap().unwrap()
                    } else {
                        let short = Admission { deadline: MINUTE, keep: 2 * MINUTE, ..admission(owner) };
                        records.admit(short).await.unwrap()
                    };
                    end(&records, admitted, n + turn).await;
                    if n % 10 == 9 {
                        clock.advance(Duration::from_secs(40));
                        records.fail_overdue(7).await.unwrap();
                        records.expire(7).await.unwrap();
                    }
                }
            })
        });
        let writing = tokio::time::timeout(Duration::from_secs(240), join_all(writers.collect::<Vec<_>>()));
        writing.await.expect("they wait for each other").into_iter().for_each(Result::unwrap);
        assert_eq!(home.records.recount().await.unwrap(), Vec::<String>::new());
        home.clock.advance(KEEP);
        while !home.records.fail_overdue(100).await.unwrap().is_empty() {}
        while !home.records.expire(100).await.unwrap().is_empty() {}
        assert_eq!(home.records.recount().await.unwrap(), Vec::<String>::new());
        for id in ["ann", "bob"] {
            assert_eq!(home.records.usage(id).await.unwrap(), Usage::default());
        }
    })
    .await;
}
