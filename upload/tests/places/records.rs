//! Every verb of the records, on SQLite and PostgreSQL alike.

use std::collections::HashSet;
use std::time::Duration;

use upload::{JobId, Reason, Settled, Start, State, Wanted};

use crate::home::{DEADLINE, Home, KEEP, MINUTE, made, on_both, user, variant};

const MS: Duration = Duration::from_millis(1);

#[tokio::test]
async fn what_is_admitted_is_there_with_its_job_and_its_history() {
    on_both(async |home| {
        let first = home.admit().await;
        assert_eq!(first.id.get(), 1001, "the contract's first number");
        assert_eq!(home.admit().await.id.get(), 1002);
        let upload = home.records.upload(first.id).await.unwrap().unwrap();
        assert_eq!((upload.state, upload.owner.as_str(), upload.bytes), (State::Accepted, "mary", 1234));
        assert_eq!(upload.deadline.duration_since(upload.created_at).unsigned_abs(), DEADLINE);
        assert_eq!(home.records.open_job(first.id).await.unwrap(), Some(first.ticket.id));
        let history: Vec<_> = home.records.events(first.id).await.unwrap().into_iter().map(|e| e.what).collect();
        assert_eq!(history, ["staged", "queued"]);
        let census = home.records.census().await.unwrap();
        assert_eq!((census.admitted, census.of(State::Accepted), census.open_jobs), (2, 2, 2));
    })
    .await;
}

#[tokio::test]
async fn a_job_is_one_workers_until_the_lease_ends_and_then_the_next_ones() {
    on_both(async |home| {
        let admitted = home.admit().await;
        let first = home.run(&admitted.ticket).await;
        assert_eq!((first.number, first.last_error.as_deref()), (1, None));
        let busy = home.records.begin_attempt(&admitted.ticket, MINUTE).await.unwrap();
        assert!(matches!(busy, Start::Busy(until) if until == first.leased_until), "{busy:?}");
        home.clock.advance(MINUTE - MS);
        assert!(home.records.renew_lease(&first, MINUTE).await.unwrap());
        home.clock.advance(MINUTE);
        let second = home.run(&admitted.ticket).await;
        assert_eq!(second.number, 2);
        assert_ne!(second.prefix, first.prefix, "no two attempts write the same key");
        // The first is alive after all: whatever it says now is void.
        assert!(!home.records.renew_lease(&first, MINUTE).await.unwrap());
        let reason = Reason::new("late", "late");
        assert_eq!(home.records.settle_ready(&first, made(&first)).await.unwrap(), Settled::Void);
        assert_eq!(home.records.settle_rejected(&first, &reason).await.unwrap(), Settled::Void);
        assert!(home.records.put_off(&first, MINUTE, "late").await.unwrap().is_none());
        assert_eq!(home.records.bury(&first, &reason, "late").await.unwrap(), Settled::Void);
        assert_eq!(home.records.settle_ready(&second, made(&second)).await.unwrap(), Settled::Counted);
        let echo = home.records.begin_attempt(&admitted.ticket, MINUTE).await.unwrap();
        assert!(matches!(echo, Start::Gone), "{echo:?}");
    })
    .await;
}

#[tokio::test]
async fn of_many_workers_that_reach_for_a_job_one_has_it() {
    on_both(async |home| {
        for _ in 0..5 {
            let ticket = home.admit().await.ticket;
            let tries = (0..16).map(|_| {
                let (records, ticket) = (home.records.clone(), ticket.clone());
                tokio::spawn(async move { records.begin_attempt(&ticket, MINUTE).await.unwrap() })
            });
            let outcomes = futures::future::join_all(tries).await;
            let run = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Start::Run(_)))).count();
            let busy = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Start::Busy(_)))).count();
            assert_eq!((run, busy), (1, 15));
        }
    })
    .await;
}

#[tokio::test]
async fn a_ready_upload_has_its_variants_and_owes_nothing() {
    on_both(async |home| {
        let admitted = home.admit().await;
        let mut attempt = home.run(&admitted.ticket).await;
        attempt.note(home.clock.now(), "rendered", "three sizes");
        assert_eq!(home.records.settle_ready(&attempt, made(&attempt)).await.unwrap(), Settled::Counted);
        let upload = home.records.upload(admitted.id).await.unwrap().unwrap();
        assert_eq!((upload.state, upload.width, upload.height), (State::Ready, Some(4032), Some(3024)));
        let names: Vec<_> =
            home.records.variants(admitted.id, 0).await.unwrap().iter().map(|v| v.name.to_string()).collect();
        assert_eq!(names, ["150.jpg", "512.jpg", "75.jpg"]);
        let census = home.records.census().await.unwrap();
        assert_eq!((census.of(State::Ready), census.open_jobs, census.condemned), (1, 0, 0));
        assert!(home.records.needed_in_staging(&[upload.staged_key]).await.unwrap().is_empty());
        let last = home.records.events(admitted.id).await.unwrap().pop().unwrap();
        assert_eq!(last.what, "ready");
    })
    .await;
}

#[tokio::test]
async fn a_rejected_upload_says_why_and_condemns_what_was_written() {
    on_both(async |home| {
        let admitted = home.admit().await;
        let attempt = home.run(&admitted.ticket).await;
        let reason = Reason::new("too_small", "it has one pixel");
        assert_eq!(home.records.settle_rejected(&attempt, &reason).await.unwrap(), Settled::Counted);
        let upload = home.records.upload(admitted.id).await.unwrap().unwrap();
        assert_eq!((upload.state, upload.reason), (State::Rejected, Some(reason)));
        let condemned = home.records.take_condemned(10).await.unwrap();
        assert_eq!(condemned.iter().map(|c| c.prefix.as_str()).collect::<Vec<_>>(), [attempt.prefix.as_str()]);
    })
    .await;
}

#[tokio::test]
async fn a_right_revoked_while_the_job_waited_is_a_rejection() {
    on_both(async |home| {
        let admitted = home.admit().await;
        let attempt = home.run(&admitted.ticket).await;
        let mut mary = user("mary");
        mary.disabled = true;
        home.records.put_user(&mary).await.unwrap();
        let settled = home.records.settle_ready(&attempt, made(&attempt)).await.unwrap();
        assert!(matches!(settled, Settled::Rejected(reason) if reason.code == "not_permitted"));
        assert_eq!(home.records.upload(admitted.id).await.unwrap().unwrap().state, State::Rejected);
        assert!(home.records.variants(admitted.id, 0).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_job_put_off_is_the_relays_once_its_time_has_come_and_knows_its_last_error() {
    on_both(async |home| {
        let admitted = home.admit().await;
        let attempt = home.run(&admitted.ticket).await;
        assert!(home.records.put_off(&attempt, MINUTE, "no disk").await.unwrap().is_some());
        assert!(home.due().await.is_empty());
        home.clock.advance(MINUTE + Duration::from_secs(10));
        assert_eq!(home.due().await, std::slice::from_ref(&admitted.ticket));
        let again = home.run(&admitted.ticket).await;
        assert_eq!((again.number, again.last_error.as_deref()), (2, Some("no disk")));
    })
    .await;
}

#[tokio::test]
async fn of_many_who_want_a_variant_one_orders_it() {
    on_both(async |home| {
        let upload = home.ready().await.id;
        let name = "64.png".parse().unwrap();
        let wants = (0..16).map(|_| {
            let records = home.records.clone();
            tokio::spawn(async move { records.want_variant(upload, 0, name).await.unwrap() })
        });
        let mut tickets = Vec::new();
        let mut coming: HashSet<JobId> = HashSet::new();
        for wanted in futures::future::join_all(wants).await {
            match wanted.unwrap() {
                Wanted::Ordered(ticket) => tickets.push(ticket),
                Wanted::Coming(job) => drop(coming.insert(job)),
                other => panic!("{other:?}"),
            }
        }
        let [ticket] = tickets.as_slice() else { panic!("{} orders", tickets.len()) };
        assert!(coming.iter().all(|job| *job == ticket.id));
        let attempt = home.run(ticket).await;
        let made = variant(&attempt, "64.png");
        assert_eq!(home.records.settle_variant(&attempt, 0, &made).await.unwrap(), Settled::Counted);
        let Wanted::Made(found) = home.records.want_variant(upload, 0, name).await.unwrap() else { panic!("not made") };
        assert_eq!(found, made);
    })
    .await;
}

#[tokio::test]
async fn variants_of_one_picture_have_a_limit_and_a_refused_one_says_why() {
    on_both(async |home| {
        let upload = home.ready().await.id;
        let Wanted::Ordered(ticket) = home.records.want_variant(upload, 0, "64.png".parse().unwrap()).await.unwrap()
        else {
            panic!("not ordered")
        };
        let attempt = home.run(&ticket).await;
        let reason = Reason::new("bytes_lost", "the original is gone");
        home.records.refuse_variant(&attempt, &reason).await.unwrap();
        let Wanted::Refused(why) = home.records.want_variant(upload, 0, "64.png".parse().unwrap()).await.unwrap()
        else {
            panic!("not refused")
        };
        assert_eq!(why, reason);
        for side in 0..60 {
            let name = format!("{}.png", 100 + side).parse().unwrap();
            if let Wanted::Refused(why) = home.records.want_variant(upload, 0, name).await.unwrap() {
                assert_eq!((why.code.as_str(), side), ("too_many_variants", 22));
                let usual = home.records.want_variant(upload, 0, "75.png".parse().unwrap()).await.unwrap();
                assert!(matches!(usual, Wanted::Ordered(_)), "{usual:?}");
                return;
            }
        }
        panic!("no limit");
    })
    .await;
}

#[tokio::test]
async fn what_is_overdue_fails_with_its_job_and_whoever_waits_can_be_told() {
    on_both(async |home| {
        let (late, done) = (home.admit().await, home.ready().await);
        let attempt = home.run(&late.ticket).await;
        home.records.put_off(&attempt, MINUTE, "no disk").await.unwrap();
        home.clock.advance(DEADLINE - MS);
        assert!(home.records.fail_overdue(10).await.unwrap().is_empty());
        home.clock.advance(MS);
        let failed = home.records.fail_overdue(10).await.unwrap();
        assert_eq!(failed.iter().map(|(id, job, _)| (*id, *job)).collect::<Vec<_>>(), [(late.id, late.ticket.id)]);
        assert_eq!(home.records.upload(late.id).await.unwrap().unwrap().state, State::Failed);
        assert_eq!(home.records.upload(done.id).await.unwrap().unwrap().state, State::Ready);
        let last = home.records.events(late.id).await.unwrap().pop().unwrap();
        assert!(last.detail.contains("no disk"), "{last:?}");
        assert_eq!(home.records.census().await.unwrap().dead_jobs, 1);
    })
    .await;
}

/// The prefixes that are due now, struck off at once.
/// Both take the upload's row first and the job's after it; the other way round they waited for each other.
#[tokio::test]
async fn what_is_settled_at_its_deadline_and_what_fails_there_do_not_wait_for_each_other() {
    on_both(async |home| {
        let mut attempts = Vec::new();
        for _ in 0..60 {
            attempts.push(home.run(&home.admit().await.ticket).await);
        }
        home.clock.advance(DEADLINE);
        let settling = attempts.into_iter().map(|attempt| {
            let records = home.records.clone();
            tokio::spawn(async move {
                let made = made(&attempt);
                records.settle_ready(&attempt, made).await.unwrap()
            })
        });
        let settling: Vec<_> = settling.collect();
        let mut failed = 0;
        loop {
            let batch = home.records.fail_overdue(60).await.unwrap().len();
            failed += batch;
            if batch == 0 && settling.iter().all(tokio::task::JoinHandle::is_finished) {
                break;
            }
            tokio::task::yield_now().await;
        }
        let settled = futures::future::join_all(settling).await;
        let ready = settled.into_iter().filter(|settled| *settled.as_ref().unwrap() == Settled::Counted).count();
        assert_eq!(ready + failed, 60);
        assert_eq!(home.records.census().await.unwrap().unaccounted(), 0);
    })
    .await;
}

async fn due(home: &Home) -> Vec<String> {
    let mut prefixes = Vec::new();
    for condemned in home.records.take_condemned(10).await.unwrap() {
        home.records.strike_off(&condemned).await.unwrap();
        prefixes.push(condemned.prefix);
    }
    prefixes.sort();
    prefixes
}

#[tokio::test]
async fn what_an_attempt_wrote_is_collected_when_another_was_settled() {
    on_both(async |home| {
        let admitted = home.admit().await;
        let killed = home.run(&admitted.ticket).await;
        home.clock.advance(MINUTE);
        let failed = home.run(&admitted.ticket).await;
        assert!(home.records.put_off(&failed, MINUTE, "no disk").await.unwrap().is_some());
        let settled = home.run(&admitted.ticket).await;
        home.clock.advance(DEADLINE - 3 * MINUTE);
        assert!(due(home).await.is_empty(), "as long as the job is there, nothing of it is collected");
        assert_eq!(home.records.settle_ready(&settled, made(&settled)).await.unwrap(), Settled::Counted);
        assert_eq!(home.records.settle_ready(&killed, made(&killed)).await.unwrap(), Settled::Void);
        assert!(due(home).await.is_empty(), "the first may be writing still");
        home.clock.advance(Duration::from_secs(3600));
        let mut others = [killed.prefix, failed.prefix];
        others.sort();
        assert_eq!(due(home).await, others);
        home.clock.advance(Duration::from_secs(3600));
        assert!(due(home).await.is_empty(), "what was settled stays");
    })
    .await;
}

#[tokio::test]
async fn what_an_attempt_wrote_is_collected_when_the_job_ends_without_it() {
    on_both(async |home| {
        let overdue = home.admit().await;
        let first = home.run(&overdue.ticket).await;
        home.clock.advance(DEADLINE);
        assert_eq!(home.records.fail_overdue(10).await.unwrap().len(), 1);
        assert_eq!(home.records.settle_ready(&first, made(&first)).await.unwrap(), Settled::Void);
        assert!(due(home).await.is_empty(), "it may be writing still");
        home.records.retry_job(overdue.ticket.id, DEADLINE).await.unwrap().unwrap();
        let again = home.run(&overdue.ticket).await;
        assert_eq!(home.records.settle_ready(&again, made(&again)).await.unwrap(), Settled::Counted);
        home.clock.advance(Duration::from_secs(3600));
        assert_eq!(due(home).await, [first.prefix], "and not what was settled after it");

        let buried = home.run(&home.admit().await.ticket).await;
        home.records.bury(&buried, &Reason::new("no", "no"), "no").await.unwrap();
        assert_eq!(due(home).await, [buried.prefix]);

        let expired = home.run(&home.admit().await.ticket).await;
        home.clock.advance(KEEP);
        assert_eq!(home.records.expire(10).await.unwrap().len(), 2);
        let all = due(home).await;
        assert!(all.iter().any(|prefix| expired.prefix.starts_with(prefix)), "{all:?}");
        home.clock.advance(Duration::from_secs(3600));
        assert_eq!(due(home).await, [expired.prefix], "whatever was written after that");
    })
    .await;
}

#[tokio::test]
async fn a_deletion_whose_keeper_died_is_anybodys_again() {
    on_both(async |home| {
        let attempt = home.run(&home.admit().await.ticket).await;
        home.records.settle_rejected(&attempt, &Reason::new("no", "no")).await.unwrap();
        let taken = home.records.take_condemned(10).await.unwrap();
        let [condemned] = taken.as_slice() else { panic!("{taken:?}") };
        assert_eq!(condemned.prefix, attempt.prefix);
        assert!(home.records.take_condemned(10).await.unwrap().is_empty(), "it is being deleted");
        home.clock.advance(Duration::from_secs(600));
        assert_eq!(home.records.take_condemned(10).await.unwrap(), taken, "who took it on has died");
        home.records.strike_off(condemned).await.unwrap();
        home.clock.advance(Duration::from_secs(600));
        assert!(home.records.take_condemned(10).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn several_keepers_share_the_ledger() {
    on_both(async |home| {
        for _ in 0..30 {
            let attempt = home.run(&home.admit().await.ticket).await;
            home.records.settle_rejected(&attempt, &Reason::new("no", "no")).await.unwrap();
        }
        let takes = (0..6).map(|_| {
            let records = home.records.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let batch = records.take_condemned(3).await.unwrap();
                    if batch.is_empty() {
                        return mine;
                    }
                    mine.extend(batch.into_iter().map(|condemned| condemned.prefix));
                }
            })
        });
        let taken: Vec<String> = futures::future::join_all(takes).await.into_iter().flat_map(Result::unwrap).collect();
        assert_eq!(taken.len(), 30);
        assert_eq!(taken.into_iter().collect::<HashSet<_>>().len(), 30);
    })
    .await;
}
