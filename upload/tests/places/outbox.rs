//! When a message is published again, and which publish a confirmation belongs to: on SQLite and PostgreSQL alike.

use std::time::Duration;

use futures::future::join_all;
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};
use upload::{Backend, Publish, Reason, Settled, Start};

use crate::home::{DEADLINE, Home, KEEP, MINUTE, made, on_both};

const GRACE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_outbox_finds_what_the_queue_was_not_told() {
    on_both(async |home| {
        let ticket = home.admit().await.ticket;
        let first = Publish::first(ticket.id);
        let is_due = async || home.due().await == [ticket.clone()];
        assert!(!is_due().await, "whoever promised it may be about to publish it");
        home.clock.advance(GRACE);
        assert!(is_due().await);
        assert!(!is_due().await, "one sweeper publishes it");
        home.clock.advance(GRACE);
        assert!(is_due().await, "and the queue did not confirm it");
        home.records.note_published([first]).await.unwrap();
        home.clock.advance(GRACE);
        assert!(is_due().await, "that was an earlier publish");
        home.run(&ticket).await;
        home.clock.advance(GRACE);
        assert!(!is_due().await, "somebody is on it");
        home.clock.advance(MINUTE);
        assert!(is_due().await, "whoever was on it has died");
        assert_eq!(home.records.reopen_promises().await.unwrap(), 1);
        assert!(is_due().await);
    })
    .await;
}

#[tokio::test]
async fn a_message_that_the_queue_has_lost_is_published_again_long_before_the_deadline() {
    on_both(async |home| {
        let ticket = home.admit().await.ticket;
        home.records.note_published([Publish::first(ticket.id)]).await.unwrap();
        let (mut published, mut at) = (Vec::new(), Duration::ZERO);
        while at < DEADLINE {
            home.clock.advance(GRACE);
            at += GRACE;
            for due in home.records.take_unpublished(10).await.unwrap() {
                published.push(at.as_secs());
                home.records.note_published([due.publish]).await.unwrap();
            }
        }
        // A tenth of the deadline; then ever less often, so that a queue that is only long does not fill with copies.
        assert_eq!(published, [60, 180, 420]);
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_delayed_is_not_lost() {
    on_both(async |home| {
        let ticket = home.admit().await.ticket;
        let attempt = home.run(&ticket).await;
        let publish = home.records.put_off(&attempt, 3 * MINUTE, "no disk").await.unwrap().unwrap();
        home.records.note_published([publish]).await.unwrap();
        home.clock.advance(4 * MINUTE - GRACE);
        assert!(home.due().await.is_empty());
        home.clock.advance(GRACE);
        assert_eq!(home.due().await, [ticket]);
    })
    .await;
}

/// The note of an api comes in batches, later than the job died and was retried.
#[tokio::test]
async fn a_late_note_of_an_earlier_publish_does_not_strand_a_retried_job() {
    on_both(async |home| {
        let ticket = home.admit().await.ticket;
        let attempt = home.run(&ticket).await;
        home.records.bury(&attempt, &Reason::new("no", "no"), "no").await.unwrap();
        home.records.note_published([Publish::first(ticket.id)]).await.unwrap();
        assert!(home.due().await.is_empty(), "a dead job is not published");
        let retried = home.records.retry_job(ticket.id, DEADLINE).await.unwrap().unwrap();
        home.records.note_published([Publish::first(ticket.id)]).await.unwrap();
        assert_eq!(home.records.job(ticket.id).await.unwrap().unwrap().published_at, None);
        home.clock.advance(GRACE);
        assert_eq!(home.due().await, std::slice::from_ref(&ticket), "nobody published the retry");
        home.records.note_published([retried.publish]).await.unwrap();
        assert_eq!(home.records.job(ticket.id).await.unwrap().unwrap().published_at, None, "nor is that the latest");
    })
    .await;
}

#[tokio::test]
async fn noting_a_publication_does_not_take_a_job_from_who_is_on_it() {
    on_both(async |home| {
        let ticket = home.admit().await.ticket;
        let attempt = home.run(&ticket).await;
        home.records.note_published([Publish::first(ticket.id)]).await.unwrap();
        assert!(matches!(home.records.begin_attempt(&ticket, MINUTE).await.unwrap(), Start::Busy(_)));
        assert_eq!(home.records.settle_ready(&attempt, made(&attempt)).await.unwrap(), Settled::Counted);
    })
    .await;
}

#[tokio::test]
async fn several_sweepers_publish_each_job_once() {
    on_both(async |home| {
        for _ in 0..40 {
            home.admit().await;
        }
        home.clock.advance(GRACE);
        let takes = (0..4).map(|_| {
            let records = home.records.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let batch = records.take_unpublished(5).await.unwrap();
                    if batch.is_empty() {
                        return mine;
                    }
                    mine.extend(batch.into_iter().map(|due| due.ticket.id));
                }
            })
        });
        let mut taken: Vec<_> = futures::future::join_all(takes).await.into_iter().flat_map(Result::unwrap).collect();
        taken.sort_unstable();
        taken.dedup();
        // One that another sweeper held for a moment is due again.
        home.clock.advance(GRACE);
        taken.extend(home.records.take_unpublished(100).await.unwrap().into_iter().map(|due| due.ticket.id));
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), 40);
    })
    .await;
}

/// A long queue: the look for what is due reads what is due, and not what waits.
#[tokio::test]
async fn looking_for_what_is_due_does_not_read_the_queue() {
    on_both(async |home: &Home| {
        let db = Database::connect(&home.url).await.unwrap();
        let (backend, numbers, id) = match db.get_database_backend() {
            DbBackend::Postgres => (DbBackend::Postgres, "generate_series(1, 100000) AS n", "gen_random_uuid()"),
            _ => (
                DbBackend::Sqlite,
                "(WITH RECURSIVE all_n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM all_n WHERE n < 100000) SELECT n FROM all_n)",
                "randomblob(16)",
            ),
        };
        db.execute_unprepared(&format!(
            "INSERT INTO jobs (id, upload_id, kind, payload, state, created_at, run_at, published_at, republish_at)
             SELECT {id}, n, 'picture.process.v1', '{{}}', CASE n % 2 WHEN 0 THEN 'dead' ELSE 'queued' END, 0, 0, 0,
                    CASE n % 2 WHEN 0 THEN 0 ELSE 4000000000000 END FROM {numbers}"
        ))
        .await
        .unwrap();
        db.execute_unprepared("ANALYZE").await.unwrap();
        let (explain, first, second) =
            if backend == DbBackend::Postgres { ("EXPLAIN", "$1", "$2") } else { ("EXPLAIN QUERY PLAN", "?", "?") };
        // As the relay asks: with parameters, whose values no plan may rest upon.
        let sql = format!(
            "{explain} SELECT id FROM jobs WHERE state = {first} AND republish_at <= {second} ORDER BY republish_at LIMIT 200"
        );
        let values: [sea_orm::Value; 2] = ["queued".into(), 1_i64.into()];
        let rows = db.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await.unwrap();
        let column = if backend == DbBackend::Postgres { "QUERY PLAN" } else { "detail" };
        let plan: Vec<String> = rows.iter().map(|row| row.try_get("", column).unwrap()).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("ix_jobs_republish") && !plan.to_lowercase().contains("sort"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE") && !plan.contains("Seq Scan"), "{plan}");
        assert!(home.due().await.is_empty());
        db.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_failing_backend_costs_no_attempt_and_a_crash_does() {
    on_both(async |home| {
        let ticket = home.admit().await.ticket;
        for n in 1..=7 {
            let attempt = home.run(&ticket).await;
            assert_eq!((attempt.number, attempt.counted, attempt.postponed), (n, 1, n - 1));
            home.records.postpone(&attempt, Backend::Blobs, MINUTE / 60, "refused").await.unwrap().unwrap();
        }
        // It crashes: nobody says why.
        let crashed = home.run(&ticket).await;
        home.clock.advance(2 * MINUTE);
        let next = home.run(&ticket).await;
        assert_eq!((next.number, next.counted), (9, 2));
        // It was alive after all, and had met the failing backend: it does not count, and changes nothing else.
        for _ in 0..2 {
            assert!(home.records.postpone(&crashed, Backend::Blobs, MINUTE, "refused").await.unwrap().is_none());
        }
        assert!(home.records.renew_lease(&next, MINUTE).await.unwrap());
        home.records.put_off(&next, MINUTE, "it took too long").await.unwrap().unwrap();
        let last = home.run(&ticket).await;
        assert_eq!((last.number, last.counted, last.postponed), (10, 2, 0));
        // The answer was lost, and the call repeated: once is once.
        home.records.postpone(&last, Backend::Records, MINUTE, "reset").await.unwrap().unwrap();
        assert!(home.records.postpone(&last, Backend::Records, MINUTE, "reset").await.unwrap().is_none());
        assert_eq!(home.run(&ticket).await.counted, 2);
    })
    .await;
}

#[tokio::test]
async fn an_attempt_whose_beginning_got_no_answer_is_begun_once() {
    on_both(async |home| {
        let ticket = home.admit().await.ticket;
        let prefix = upload::Blobs::prefix(ticket.job.upload());
        let begin = async || home.records.begin_attempt_under(&ticket, MINUTE, &prefix).await.unwrap();
        for wait in [Duration::ZERO, MINUTE / 2, MINUTE] {
            home.clock.advance(wait);
            let Start::Run(attempt) = begin().await else { panic!("it is this caller's") };
            assert_eq!((attempt.number, attempt.counted, &attempt.prefix), (1, 1, &prefix));
            assert!(matches!(home.records.begin_attempt(&ticket, MINUTE).await.unwrap(), Start::Busy(_)));
        }
        home.clock.advance(MINUTE);
        assert_eq!(home.run(&ticket).await.number, 2);
        assert!(matches!(begin().await, Start::Busy(_)), "another has it now");
    })
    .await;
}

#[tokio::test]
async fn at_the_deadline_the_reason_names_the_backend_and_no_more() {
    on_both(async |home| {
        let (stored, unpublished, slow) = (home.admit().await, home.admit().await, home.admit().await);
        let attempt = home.run(&stored.ticket).await;
        home.records.postpone(&attempt, Backend::Blobs, MINUTE, "tcp 10.0.0.7: refused").await.unwrap().unwrap();
        home.records.note_published([Publish::first(slow.ticket.id)]).await.unwrap();
        // The sweeper sends its message, and the broker does not confirm it.
        home.clock.advance(Duration::from_secs(11));
        let sent = home.records.take_unpublished(10).await.unwrap();
        assert!(sent.iter().any(|sent| sent.ticket.id == unpublished.ticket.id), "{sent:?}");
        // Its message was not sent a second time, so that nothing is known of the broker.
        let fresh = home.admit().await;
        home.clock.advance(DEADLINE);
        let failed = home.records.fail_overdue(10).await.unwrap();
        assert_eq!(failed.len(), 4);
        for (admitted, words) in [
            (&stored, "the storage for finished files failed"),
            (&unpublished, "the message broker failed"),
            (&slow, "no worker settled this upload"),
            (&fresh, "no worker settled this upload"),
        ] {
            let reason = home.records.upload(admitted.id).await.unwrap().unwrap().reason.unwrap();
            assert!(reason.code == "deadline" && reason.why.contains(words), "{reason:?}");
            assert!(!reason.why.contains("10.0.0.7"), "{reason:?}");
            let told = failed.iter().find(|(id, ..)| *id == admitted.id).unwrap();
            assert_eq!(told.2, reason, "whoever waits hears the same");
        }
        let job = home.records.job(stored.ticket.id).await.unwrap().unwrap();
        assert_eq!(job.last_error.as_deref(), Some("tcp 10.0.0.7: refused"), "the operator sees it");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_that_is_ordered_while_its_picture_expires_leaves_nothing() {
    on_both(async |home| {
        let mut ids = Vec::new();
        for _ in 0..16 {
            ids.push(home.ready().await.id);
        }
        home.clock.advance(2 * KEEP);
        let name = "64.png".parse().unwrap();
        let orders = ids.iter().map(|id| {
            let (records, id) = (home.records.clone(), *id);
            tokio::spawn(async move { records.want_variant(id, 0, name).await.unwrap() })
        });
        let sweeps = (0..16).map(|_| home.records.expire(1));
        let (ordered, expired) = tokio::join!(join_all(orders), join_all(sweeps));
        ordered.into_iter().for_each(|order| drop(order.unwrap()));
        // A sweep leaves out what is being ordered just then.
        let rest = home.records.expire(100).await.unwrap();
        assert_eq!(expired.into_iter().flat_map(Result::unwrap).count() + rest.len(), ids.len());
        for id in ids {
            assert!(home.records.jobs_of(id).await.unwrap().is_empty());
            let now = home.records.want_variant(id, 0, name).await.unwrap();
            assert!(matches!(now, upload::Wanted::Outdated), "{now:?}");
        }
        assert!(home.records.recount().await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_variant_of_an_older_crop_is_not_ordered() {
    on_both(async |home| {
        let id = home.ready().await.id;
        let mary = upload::Claimant { user: "mary".to_owned(), admin: false };
        let crop = Some(upload::Crop { x: 1, y: 2, w: 3, h: 4 });
        assert_eq!(home.records.crop(id, crop, &mary).await.unwrap(), Ok(1));
        let name = "64.png".parse().unwrap();
        let wanted = home.records.want_variant(id, 0, name).await.unwrap();
        assert!(matches!(wanted, upload::Wanted::Outdated), "{wanted:?}");
        assert!(matches!(home.records.want_variant(id, 1, name).await.unwrap(), upload::Wanted::Ordered(_)));
    })
    .await;
}

#[tokio::test]
async fn a_variant_is_given_up_in_time_and_ordered_anew() {
    on_both(async |home| {
        let upload = home.ready().await.id;
        let name = "64.png".parse().unwrap();
        let want = async || home.records.want_variant(upload, 0, name).await.unwrap();
        let upload::Wanted::Ordered(ticket) = want().await else { panic!("not ordered") };
        let attempt = home.run(&ticket).await;
        home.records.postpone(&attempt, Backend::Blobs, MINUTE, "refused").await.unwrap().unwrap();
        home.clock.advance(DEADLINE - Duration::from_millis(1));
        assert!(home.records.give_up_variants(10).await.unwrap().is_empty());
        home.clock.advance(Duration::from_millis(1));
        let given_up = home.records.give_up_variants(10).await.unwrap();
        let [(of, job, reason)] = given_up.as_slice() else { panic!("{given_up:?}") };
        assert_eq!((*of, *job, reason.code.as_str()), (upload, ticket.id, "deadline"));
        assert!(reason.why.contains("the storage for finished files"), "{reason:?}");
        assert!(matches!(want().await, upload::Wanted::Ordered(_)), "the next request orders it anew");
    })
    .await;
}
