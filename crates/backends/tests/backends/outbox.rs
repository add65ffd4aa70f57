//! When a message is published again, and to which publish a confirmation belongs, on SQLite and PostgreSQL.

use std::time::Duration;

use domain::{Backend, ExpectedVersion, Job, Reason};
use futures::future::join_all;
use records::{LeaseResult, PublishAttempt, SettleResult};
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};
use test_support::test_db::{DEADLINE, MINUTE, RETENTION, TestDb, on_both_engines, processed_upload};

const GRACE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_outbox_finds_what_was_not_published() {
    on_both_engines(async |db| {
        let message = db.admit().await.message;
        let first = PublishAttempt::first(message.id);
        let is_due = async || db.due_messages().await == [message.clone()];
        assert!(!is_due().await, "the api that admitted it may be about to publish it");
        db.clock.advance(GRACE);
        assert!(is_due().await);
        assert!(!is_due().await, "one sweeper publishes it");
        db.clock.advance(GRACE);
        assert!(is_due().await, "and the queue did not confirm it");
        db.records.confirm_published([first]).await.unwrap();
        db.clock.advance(GRACE);
        assert!(is_due().await, "the confirmation was of an earlier publish");
        db.begin_attempt(&message).await;
        db.clock.advance(GRACE);
        assert!(!is_due().await, "a worker holds the lease");
        db.clock.advance(MINUTE);
        assert!(is_due().await, "the worker that held the lease has died");
        assert_eq!(db.records.reset_queued_jobs().await.unwrap(), 1);
        assert!(is_due().await);
    })
    .await;
}

#[tokio::test]
async fn a_message_that_the_queue_has_lost_is_published_again_long_before_the_deadline() {
    on_both_engines(async |db| {
        let message = db.admit().await.message;
        db.records.confirm_published([PublishAttempt::first(message.id)]).await.unwrap();
        let (mut published, mut at) = (Vec::new(), Duration::ZERO);
        while at < DEADLINE {
            db.clock.advance(GRACE);
            at += GRACE;
            for due in db.records.take_due_messages(10).await.unwrap() {
                published.push(at.as_secs());
                db.records.confirm_published([due.publish]).await.unwrap();
            }
        }
        // After a tenth of the deadline, then at growing intervals, so that a long queue does not fill with copies.
        assert_eq!(published, [60, 180, 420]);
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_delayed_is_not_lost() {
    on_both_engines(async |db| {
        let message = db.admit().await.message;
        let attempt = db.begin_attempt(&message).await;
        let publish = db.records.reschedule(&attempt, 3 * MINUTE, "no disk").await.unwrap().unwrap();
        db.records.confirm_published([publish]).await.unwrap();
        db.clock.advance(4 * MINUTE - GRACE);
        assert!(db.due_messages().await.is_empty());
        db.clock.advance(GRACE);
        assert_eq!(db.due_messages().await, [message]);
    })
    .await;
}

/// An api records its confirmed publishes in batches. By then, the job may already be dead and
/// retried.
#[tokio::test]
async fn a_late_confirmation_of_an_earlier_publish_does_not_strand_a_retried_job() {
    on_both_engines(async |db| {
        let message = db.admit().await.message;
        let attempt = db.begin_attempt(&message).await;
        db.records.mark_dead(&attempt, &Reason::new("no", "no"), "no").await.unwrap();
        db.records.confirm_published([PublishAttempt::first(message.id)]).await.unwrap();
        assert!(db.due_messages().await.is_empty(), "a dead job is not published");
        let retried = db.records.retry_job(message.id, DEADLINE).await.unwrap().unwrap();
        db.records.confirm_published([PublishAttempt::first(message.id)]).await.unwrap();
        assert_eq!(db.records.job(message.id).await.unwrap().unwrap().published_at, None);
        db.clock.advance(GRACE);
        assert_eq!(db.due_messages().await, std::slice::from_ref(&message), "no process has published the retry");
        db.records.confirm_published([retried.publish]).await.unwrap();
        assert_eq!(
            db.records.job(message.id).await.unwrap().unwrap().published_at,
            None,
            "the relay has published it again since"
        );
    })
    .await;
}

#[tokio::test]
async fn confirming_a_publish_does_not_end_a_lease() {
    on_both_engines(async |db| {
        let message = db.admit().await.message;
        let attempt = db.begin_attempt(&message).await;
        db.records.confirm_published([PublishAttempt::first(message.id)]).await.unwrap();
        assert!(matches!(db.records.begin_attempt(&message, MINUTE).await.unwrap(), LeaseResult::Busy(_)));
        assert_eq!(db.records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap(), SettleResult::Applied);
    })
    .await;
}

#[tokio::test]
async fn several_sweepers_publish_each_job_once() {
    on_both_engines(async |db| {
        for _ in 0..40 {
            db.admit().await;
        }
        db.clock.advance(GRACE);
        let takes = (0..4).map(|_| {
            let records = db.records.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let batch = records.take_due_messages(5).await.unwrap();
                    if batch.is_empty() {
                        return mine;
                    }
                    mine.extend(batch.into_iter().map(|due| due.message.id));
                }
            })
        });
        let mut taken: Vec<_> = futures::future::join_all(takes).await.into_iter().flat_map(Result::unwrap).collect();
        taken.sort_unstable();
        taken.dedup();
        // A message that another sweeper had locked for a moment is due again.
        db.clock.advance(GRACE);
        taken.extend(db.records.take_due_messages(100).await.unwrap().into_iter().map(|due| due.message.id));
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), 40);
    })
    .await;
}

/// In a long queue, the query for due messages reads only due messages, not the waiting ones.
#[tokio::test]
async fn looking_for_what_is_due_does_not_read_the_queue() {
    on_both_engines(async |test_db: &TestDb| {
        let db = Database::connect(&test_db.url).await.unwrap();
        let (backend, numbers, id) = match db.get_database_backend() {
            DbBackend::Postgres => (DbBackend::Postgres, "generate_series(1, 100000) AS n", "gen_random_uuid()"),
            _ => (
                DbBackend::Sqlite,
                "(WITH RECURSIVE all_n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM all_n WHERE n < 100000) SELECT n FROM all_n)",
                "randomblob(16)",
            ),
        };
        db.execute_unprepared(&format!(
            "INSERT INTO jobs (id, upload_id, kind, payload, queue, settles_upload, principal, republish_after_ms, state, created_at, run_at,
                               published_at, republish_at)
             SELECT {id}, n, 'picture.process.v1', '{{}}', 'pictures', true, 'mary', 60000, CASE n % 2 WHEN 0 THEN 'dead' ELSE 'queued' END, 0, 0, 0,
                    CASE n % 2 WHEN 0 THEN 0 ELSE 4000000000000 END FROM {numbers}"
        ))
        .await
        .unwrap();
        db.execute_unprepared("ANALYZE").await.unwrap();
        let (explain, first, second) =
            if backend == DbBackend::Postgres { ("EXPLAIN", "$1", "$2") } else { ("EXPLAIN QUERY PLAN", "?", "?") };
        // The query has parameters, as in the relay, so that the plan cannot depend on their values.
        let sql = format!(
            "{explain} SELECT id FROM jobs WHERE state = {first} AND republish_at <= {second} ORDER BY republish_at LIMIT 200"
        );
        let values: [sea_orm::Value; 2] = ["queued".into(), 1_i64.into()];
        let rows = db.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await.unwrap();
        let column = if backend == DbBackend::Postgres { "QUERY PLAN" } else { "detail" };
        let plan: Vec<String> = rows.iter().map(|row| row.try_get("", column).unwrap()).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("ix_jobs_republish_at") && !plan.to_lowercase().contains("sort"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE") && !plan.contains("Seq Scan"), "{plan}");
        assert!(test_db.due_messages().await.is_empty());
        db.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_failing_backend_costs_no_attempt_and_a_crash_does() {
    on_both_engines(async |db| {
        let message = db.admit().await.message;
        for n in 1..=7 {
            let attempt = db.begin_attempt(&message).await;
            assert_eq!((attempt.number, attempt.counted_attempts, attempt.postponements), (n, 1, n - 1));
            db.records.postpone(&attempt, Backend::Blobs, MINUTE / 60, "refused").await.unwrap().unwrap();
        }
        // The worker crashes without reporting an error.
        let crashed = db.begin_attempt(&message).await;
        db.clock.advance(2 * MINUTE);
        let next = db.begin_attempt(&message).await;
        assert_eq!((next.number, next.counted_attempts), (9, 2));
        // The worker was alive after all and had met the failing backend. Its attempt does not count, and nothing else
        // changes.
        for _ in 0..2 {
            assert!(db.records.postpone(&crashed, Backend::Blobs, MINUTE, "refused").await.unwrap().is_none());
        }
        assert!(db.records.renew_lease(&next, MINUTE).await.unwrap());
        db.records.reschedule(&next, MINUTE, "it took too long").await.unwrap().unwrap();
        let last = db.begin_attempt(&message).await;
        assert_eq!((last.number, last.counted_attempts, last.postponements), (10, 2, 0));
        // The response was lost and the call is repeated: it takes effect once.
        db.records.postpone(&last, Backend::Records, MINUTE, "reset").await.unwrap().unwrap();
        assert!(db.records.postpone(&last, Backend::Records, MINUTE, "reset").await.unwrap().is_none());
        assert_eq!(db.begin_attempt(&message).await.counted_attempts, 2);
    })
    .await;
}

#[tokio::test]
async fn an_attempt_whose_beginning_got_no_answer_is_begun_once() {
    on_both_engines(async |db| {
        let message = db.admit().await.message;
        let prefix = domain::blob_keys::new_attempt_prefix(message.job.upload());
        let begin = async || db.records.begin_attempt_with_prefix(&message, MINUTE, &prefix).await.unwrap();
        for wait in [Duration::ZERO, MINUTE / 2, MINUTE] {
            db.clock.advance(wait);
            let LeaseResult::Leased(attempt) = begin().await else { panic!("the lease is this caller's") };
            assert_eq!((attempt.number, attempt.counted_attempts, &attempt.prefix), (1, 1, &prefix));
            assert!(matches!(db.records.begin_attempt(&message, MINUTE).await.unwrap(), LeaseResult::Busy(_)));
        }
        db.clock.advance(MINUTE);
        assert_eq!(db.begin_attempt(&message).await.number, 2);
        assert!(matches!(begin().await, LeaseResult::Busy(_)), "another worker has the lease now");
    })
    .await;
}

#[tokio::test]
async fn at_the_deadline_the_reason_names_the_backend_and_no_more() {
    on_both_engines(async |db| {
        let (stored, unpublished, slow) = (db.admit().await, db.admit().await, db.admit().await);
        let attempt = db.begin_attempt(&stored.message).await;
        db.records.postpone(&attempt, Backend::Blobs, MINUTE, "tcp 10.0.0.7: refused").await.unwrap().unwrap();
        db.records.confirm_published([PublishAttempt::first(slow.message.id)]).await.unwrap();
        // The sweeper sends its message, and the broker does not confirm it.
        db.clock.advance(Duration::from_secs(11));
        let sent = db.records.take_due_messages(10).await.unwrap();
        assert!(sent.iter().any(|sent| sent.message.id == unpublished.message.id), "{sent:?}");
        // The message of this upload was not sent a second time, so nothing is known about the broker.
        let fresh = db.admit().await;
        db.clock.advance(DEADLINE);
        let failed = db.records.fail_overdue(10).await.unwrap();
        assert_eq!(failed.len(), 4);
        for (admitted, words) in [
            (&stored, "the storage for finished files failed"),
            (&unpublished, "the message broker failed"),
            (&slow, "no worker settled this upload"),
            (&fresh, "no worker settled this upload"),
        ] {
            let reason = db.records.upload(admitted.id).await.unwrap().unwrap().reason.unwrap();
            assert!(reason.code.as_str() == "deadline" && reason.message.contains(words), "{reason:?}");
            assert!(!reason.message.contains("10.0.0.7"), "{reason:?}");
            let notices = failed.iter().find(|(id, ..)| *id == admitted.id).unwrap();
            assert_eq!(notices.2, reason, "the waiter gets the same reason");
        }
        let job = db.records.job(stored.message.id).await.unwrap().unwrap();
        assert_eq!(job.last_error.as_deref(), Some("tcp 10.0.0.7: refused"), "the operator sees it");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_that_is_requested_while_its_picture_expires_leaves_nothing() {
    on_both_engines(async |db| {
        let mut ids = Vec::new();
        for _ in 0..16 {
            ids.push(db.admit_and_settle().await.id);
        }
        db.clock.advance(2 * RETENTION);
        let name = "64.png".parse().unwrap();
        let orders = ids.iter().map(|id| {
            let (records, id) = (db.records.clone(), *id);
            tokio::spawn(async move { records.request_variant(id, 0, name).await.unwrap() })
        });
        let sweeps = (0..16).map(|_| db.records.expire(1));
        let (ordered, expired) = tokio::join!(join_all(orders), join_all(sweeps));
        ordered.into_iter().for_each(|order| drop(order.unwrap()));
        // A sweep skips an upload for which a variant is being requested.
        let rest = db.records.expire(100).await.unwrap();
        assert_eq!(expired.into_iter().flat_map(Result::unwrap).count() + rest.len(), ids.len());
        for id in ids {
            assert!(db.records.jobs_of(id).await.unwrap().is_empty());
            let now = db.records.request_variant(id, 0, name).await.unwrap();
            assert!(matches!(now, records::VariantStatus::Outdated), "{now:?}");
        }
        assert!(db.records.recount_usage().await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_variant_of_an_older_crop_is_not_enqueued() {
    on_both_engines(async |db| {
        let id = db.admit_and_settle().await.id;
        let mary = records::Claimant { user: "mary".to_owned(), admin: false };
        let crop = domain::Crop { rotate: domain::Rotation::Deg90, ..domain::Crop::default() };
        assert_eq!(db.records.crop(id, crop, &mary, ExpectedVersion::Any).await.unwrap(), Ok(1));
        let name = "64.png".parse().unwrap();
        let wanted = db.records.request_variant(id, 0, name).await.unwrap();
        assert!(matches!(wanted, records::VariantStatus::Outdated), "{wanted:?}");
        assert!(matches!(db.records.request_variant(id, 1, name).await.unwrap(), records::VariantStatus::Enqueued(_)));
        // The whole uncropped picture is what a client shows in order to crop.
        let name = "fit64.png".parse().unwrap();
        assert!(matches!(db.records.request_variant(id, 0, name).await.unwrap(), records::VariantStatus::Enqueued(_)));
        assert_eq!(db.records.crop(id, domain::Crop::default(), &mary, ExpectedVersion::Any).await.unwrap(), Ok(2));
        let older = db.records.request_variant(id, 1, name).await.unwrap();
        assert!(matches!(older, records::VariantStatus::Outdated), "{older:?}");
    })
    .await;
}

#[tokio::test]
async fn a_variant_job_expires_and_the_variant_is_requested_anew() {
    on_both_engines(async |db| {
        let upload = db.admit_and_settle().await.id;
        let name = "64.png".parse().unwrap();
        let want = async || db.records.request_variant(upload, 0, name).await.unwrap();
        let records::VariantStatus::Enqueued(message) = want().await else { panic!("no job was enqueued") };
        let attempt = db.begin_attempt(&message).await;
        db.records.postpone(&attempt, Backend::Blobs, MINUTE, "refused").await.unwrap().unwrap();
        db.clock.advance(DEADLINE - Duration::from_millis(1));
        assert!(db.records.fail_overdue_variants(10).await.unwrap().is_empty());
        db.clock.advance(Duration::from_millis(1));
        let given_up = db.records.fail_overdue_variants(10).await.unwrap();
        let [(of, job, reason)] = given_up.as_slice() else { panic!("{given_up:?}") };
        assert_eq!((*of, *job, reason.code.as_str()), (upload, message.id, "deadline"));
        assert!(reason.message.contains("the storage for finished files"), "{reason:?}");
        assert!(matches!(want().await, records::VariantStatus::Enqueued(_)), "the next request creates a new job");
    })
    .await;
}

#[tokio::test]
async fn each_kind_of_overdue_job_has_a_reason_of_its_own() {
    on_both_engines(async |db| {
        let id = db.admit_and_settle().await.id;
        let wanted = db.records.request_variant(id, 0, "64.png".parse().unwrap()).await.unwrap();
        let records::VariantStatus::Enqueued(variant) = wanted else { panic!("no job was enqueued") };
        let verify = Job::VerifyUpload { upload: id };
        let verification = db.records.enqueue_upload_job(id, verify, DEADLINE).await.unwrap().unwrap();
        for message in [&variant, &verification] {
            db.records.confirm_published([PublishAttempt::first(message.id)]).await.unwrap();
        }
        db.clock.advance(DEADLINE);
        let given_up = db.records.fail_overdue_variants(10).await.unwrap();
        for (message, expected) in [
            (&variant, "no worker made this size of the picture before the deadline; request it again"),
            (
                &verification,
                "no worker verified the stored bytes of this upload before the deadline; the upload itself is unchanged",
            ),
        ] {
            let (_, _, reason) = given_up.iter().find(|(_, job, _)| *job == message.id).unwrap();
            assert_eq!(reason.message, expected);
        }
    })
    .await;
}
