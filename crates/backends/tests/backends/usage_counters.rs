//! Tests the counters of uploads in flight, variants in flight and stored bytes of each user, on SQLite and PostgreSQL.
//! The tests compare the counters with a full count, and check the queues that are chosen by the counters.

use std::time::Duration;

use domain::{JobMessage, QueueName, Reason, UploadId, UploadTarget};
use futures::future::join_all;
use records::{Admission, Admitted, FileAdmission, LeaseResult, Records, SettleResult, Usage, VariantStatus};
use sea_orm::{ConnectionTrait, Database};
use test_support::test_db::{
    DEADLINE, MINUTE, RETENTION, TestDb, admission, on_both_engines, processed_upload, user, variant,
};

use crate::files::{self, new_file, rendition_target};

/// Returns Mary's usage and asserts that every counter equals a full count.
async fn usage(db: &TestDb) -> (u64, u64, u64) {
    assert_eq!(db.records.recount_usage().await.unwrap(), Vec::<String>::new(), "a counter was wrong");
    let Usage { uploads, variants, bytes } = db.records.usage("mary").await.unwrap();
    (uploads, variants, bytes)
}

const ORIGINAL_BYTES: u64 = 1234;
const VARIANT_BYTES: u64 = 4321;

fn rejection() -> Reason {
    Reason::new("no", "no")
}

async fn request_variant(records: &Records, upload: UploadId, name: &str) -> JobMessage {
    let VariantStatus::Enqueued(message) = records.request_variant(upload, 0, name.parse().unwrap()).await.unwrap()
    else {
        panic!("no job was enqueued")
    };
    message
}

#[tokio::test]
async fn the_counters_equal_a_full_count_after_every_step_of_a_picture() {
    on_both_engines(async |db| {
        let records = &db.records;
        assert_eq!(usage(db).await, (0, 0, 0));
        let rejected = db.admit().await;
        assert_eq!(usage(db).await, (1, 0, ORIGINAL_BYTES));
        records.settle_rejected(&db.begin_attempt(&rejected.message).await, &rejection()).await.unwrap();
        assert_eq!(usage(db).await, (0, 0, 0));

        let dead = db.admit().await;
        records.mark_dead(&db.begin_attempt(&dead.message).await, &rejection(), "no").await.unwrap();
        assert_eq!(usage(db).await, (0, 0, 0), "a failure that Cloakroom caused does not count for the user");
        records.retry_job(dead.message.id, DEADLINE).await.unwrap().unwrap();
        assert_eq!(usage(db).await, (1, 0, ORIGINAL_BYTES));
        db.clock.advance(DEADLINE);
        assert_eq!(records.fail_overdue(10).await.unwrap().len(), 1);
        assert_eq!(usage(db).await, (0, 0, 0));
        assert!(records.discard_job(dead.message.id).await.unwrap());
        assert_eq!(usage(db).await, (0, 0, 0));

        let ready = db.admit_and_settle().await;
        assert_eq!(usage(db).await, (0, 0, ORIGINAL_BYTES + 3 * VARIANT_BYTES));
        let message = request_variant(records, ready.id, "64.png").await;
        assert_eq!(usage(db).await, (0, 1, ORIGINAL_BYTES + 3 * VARIANT_BYTES));
        let attempt = db.begin_attempt(&message).await;
        let small = variant(&attempt, "64.png");
        assert_eq!(records.settle_variant(&attempt, 0, &small).await.unwrap(), SettleResult::Applied);
        assert_eq!(usage(db).await, (0, 0, ORIGINAL_BYTES + 4 * VARIANT_BYTES));
        assert_eq!(records.settle_variant(&attempt, 0, &small).await.unwrap(), SettleResult::Superseded);
        let refused = request_variant(records, ready.id, "65.png").await;
        records.refuse_variant(&db.begin_attempt(&refused).await, &rejection()).await.unwrap();
        let broken = request_variant(records, ready.id, "66.png").await;
        records.mark_dead(&db.begin_attempt(&broken).await, &rejection(), "no").await.unwrap();
        assert_eq!(usage(db).await, (0, 0, ORIGINAL_BYTES + 4 * VARIANT_BYTES));
        records.retry_job(broken.id, DEADLINE).await.unwrap().unwrap();
        assert_eq!(usage(db).await, (0, 1, ORIGINAL_BYTES + 4 * VARIANT_BYTES));

        let late = request_variant(records, ready.id, "67.png").await;
        db.clock.advance(DEADLINE);
        let given_up = records.fail_overdue_variants(10).await.unwrap();
        let mut given_up: Vec<_> = given_up.into_iter().map(|(_, job, _)| job).collect();
        given_up.sort();
        assert_eq!(given_up, [broken.id, late.id]);
        assert_eq!(usage(db).await, (0, 0, ORIGINAL_BYTES + 4 * VARIANT_BYTES));
        request_variant(records, ready.id, "67.png").await;
        let waiting = db.admit().await;
        assert_eq!(usage(db).await, (1, 1, 2 * ORIGINAL_BYTES + 4 * VARIANT_BYTES));
        db.clock.advance(RETENTION);
        assert_eq!(records.expire(10).await.unwrap().len(), 2, "a ready upload and a waiting upload expire");
        assert_eq!(usage(db).await, (0, 0, 0));
        assert!(matches!(records.begin_attempt(&waiting.message, MINUTE).await.unwrap(), LeaseResult::Gone));
    })
    .await;
}

#[tokio::test]
async fn the_counters_include_files_and_renditions_until_their_deletion() {
    on_both_engines(async |db| {
        let (id, version) = new_file(db).await;
        assert_eq!(usage(db).await, (0, 0, 12));
        let admit = async |place| db.records.admit_into_file(files::file_admission(place)).await.unwrap();
        let small = admit(rendition_target(version, "small")).await.unwrap();
        assert_eq!(usage(db).await, (1, 0, 24));
        admit(rendition_target(version, "SMALL")).await.unwrap_err();
        assert_eq!(usage(db).await, (1, 0, 24), "the name was taken, so nothing was counted");
        let attempt = db.begin_attempt(&small.message).await;
        db.records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap();
        assert_eq!(usage(db).await, (0, 0, 24 + 3 * VARIANT_BYTES));
        let kept = db.records.rendition(version, "small").await.unwrap().unwrap();
        assert!(db.records.delete_rendition(&kept, "mary").await.unwrap());
        assert!(!db.records.delete_rendition(&kept, "mary").await.unwrap());
        assert_eq!(usage(db).await, (0, 0, 12));
        let next = admit(UploadTarget::NextVersion(id)).await.unwrap();
        files::settle_ready(db, &next).await;
        assert_eq!(usage(db).await, (0, 0, 24));
    })
    .await;
}

#[tokio::test]
async fn a_job_goes_to_bulk_or_heavy_and_stays_there() {
    on_both_engines(async |db| {
        let mut admitted = Vec::new();
        for n in 1..=9 {
            let one = db.admit().await;
            let expected = if n <= 8 { QueueName::Pictures } else { QueueName::Bulk };
            assert_eq!((one.message.queue, one.message.principal.as_str()), (expected, "mary"));
            admitted.push(one);
        }
        let heavy = || {
            let mut heavy = admission("paul");
            heavy.staged.render_estimate = Duration::from_secs(1);
            heavy
        };
        let slow = db.records.admit(heavy()).await.unwrap();
        assert_eq!(slow.message.queue, QueueName::Heavy);
        db.clock.advance(MINUTE);
        let relayed = db.records.take_due_messages(100).await.unwrap();
        let mut relayed: Vec<JobMessage> = relayed.into_iter().map(|one| one.message).collect();
        relayed.sort_by_key(|message| message.id);
        let sent = admitted.iter().map(|one| one.message.clone()).chain([slow.message.clone()]);
        assert_eq!(relayed, sent.collect::<Vec<_>>(), "the relay publishes into the same queues");

        // Two uploads fewer are in flight now. So the next job goes to the queue of its kind again, and
        // the job after that goes to `bulk`.
        let attempt = db.begin_attempt(&admitted[0].message).await;
        db.records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap();
        let attempt = db.begin_attempt(&admitted[1].message).await;
        db.records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap();
        assert_eq!(db.admit().await.message.queue, QueueName::Pictures);
        assert_eq!(request_variant(&db.records, admitted[0].id, "64.png").await.queue, QueueName::Bulk);

        let attempt = db.begin_attempt(&slow.message).await;
        assert_eq!((attempt.message.queue, attempt.upload.render_estimate), (QueueName::Heavy, Duration::from_secs(1)));
        db.records.mark_dead(&attempt, &rejection(), "no").await.unwrap();
        let again = db.records.retry_job(slow.message.id, DEADLINE).await.unwrap().unwrap().message;
        assert_eq!((again.queue, again.principal.as_str()), (QueueName::Heavy, "paul"));
        db.records.upsert_user(&user("paul")).await.unwrap();
        let attempt = db.begin_attempt(&again).await;
        assert_eq!(db.records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap(), SettleResult::Applied);
        assert_eq!(
            request_variant(&db.records, slow.id, "64.png").await.queue,
            QueueName::Heavy,
            "the original is as heavy as before"
        );
    })
    .await;
}

#[tokio::test]
async fn a_wrong_counter_is_found_and_corrected() {
    on_both_engines(async |test_db| {
        test_db.admit().await;
        let db = Database::connect(&test_db.url).await.unwrap();
        db.execute_unprepared("UPDATE usage_counters SET uploads_in_flight = 7, stored_bytes = -5").await.unwrap();
        assert_eq!(test_db.records.usage("mary").await.unwrap().bytes, 0);
        assert_eq!(test_db.records.recount_usage().await.unwrap(), ["mary"]);
        assert_eq!(usage(test_db).await, (1, 0, ORIGINAL_BYTES));
        db.close().await.unwrap();
    })
    .await;
}

/// Ends a job as a worker does; `n` selects one of the ways in which a job can end.
async fn end_job(records: &Records, admitted: Admitted, n: usize) {
    let LeaseResult::Leased(attempt) = records.begin_attempt(&admitted.message, MINUTE).await.unwrap() else { return };
    match n % 4 {
        0 => drop(records.settle_rejected(&attempt, &rejection()).await.unwrap()),
        1 => {
            records.mark_dead(&attempt, &rejection(), "no").await.unwrap();
            records.retry_job(admitted.message.id, DEADLINE).await.unwrap();
        }
        // The sweeper ends this job.
        2 => {}
        _ => {
            let counted =
                records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap() == SettleResult::Applied;
            if counted
                && let Ok(VariantStatus::Enqueued(message)) =
                    records.request_variant(admitted.id, 0, "64.png".parse().unwrap()).await
                && let LeaseResult::Leased(attempt) = records.begin_attempt(&message, MINUTE).await.unwrap()
            {
                records.settle_variant(&attempt, 0, &variant(&attempt, "64.png")).await.unwrap();
            }
        }
    }
}

/// Many writers admit, settle, fail at the deadline and expire the uploads of the same users at the same time.
/// There is no deadlock, and every change is counted exactly once.
#[tokio::test(flavor = "multi_thread")]
async fn many_writers_at_once_keep_the_counters_right() {
    on_both_engines(async |db| {
        for id in ["ann", "bob"] {
            db.records.upsert_user(&user(id)).await.unwrap();
        }
        let (file, _) = new_file(db).await;
        let writers = (0..40).map(|n: usize| {
            let (records, clock, file) = (db.records.clone(), db.clock.clone(), file.clone());
            tokio::spawn(async move {
                for round in 0..4 {
                    let owner = ["ann", "bob", "mary"][(n + round) % 3];
                    let admitted = if owner == "mary" {
                        let into = FileAdmission { ..files::file_admission(UploadTarget::NextVersion(file.clone())) };
                        records.admit_into_file(into).await.unwrap().unwrap()
                    } else {
                        let short = Admission { deadline: MINUTE, retention: 2 * MINUTE, ..admission(owner) };
                        records.admit(short).await.unwrap()
                    };
                    end_job(&records, admitted, n + round).await;
                    if n % 10 == 9 {
                        clock.advance(Duration::from_secs(40));
                        records.fail_overdue(7).await.unwrap();
                        records.expire(7).await.unwrap();
                    }
                }
            })
        });
        let writing = tokio::time::timeout(Duration::from_secs(240), join_all(writers.collect::<Vec<_>>()));
        writing.await.expect("the writers end without a deadlock").into_iter().for_each(Result::unwrap);
        assert_eq!(db.records.recount_usage().await.unwrap(), Vec::<String>::new());
        db.clock.advance(RETENTION);
        while !db.records.fail_overdue(100).await.unwrap().is_empty() {}
        while !db.records.expire(100).await.unwrap().is_empty() {}
        assert_eq!(db.records.recount_usage().await.unwrap(), Vec::<String>::new());
        for id in ["ann", "bob"] {
            assert_eq!(db.records.usage(id).await.unwrap(), Usage::default());
        }
    })
    .await;
}
