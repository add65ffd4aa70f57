//! Tests uploads with their jobs, variants and deletions in the records, from admission to the end, on SQLite and
//! PostgreSQL.

use std::collections::HashSet;
use std::time::Duration;

use domain::{EventKind, JobId, Reason, UploadState};
use records::{LeaseResult, SettleResult, VariantStatus};
use test_support::test_db::{DEADLINE, MINUTE, RETENTION, TestDb, on_both_engines, processed_upload, user, variant};

const MS: Duration = Duration::from_millis(1);

#[tokio::test]
async fn an_admitted_upload_is_stored_with_its_job_and_its_history() {
    on_both_engines(async |db| {
        let first = db.admit().await;
        assert_eq!(first.id.get(), 1001, "the contract's first number");
        assert_eq!(db.admit().await.id.get(), 1002);
        let upload = db.records.upload(first.id).await.unwrap().unwrap();
        assert_eq!((upload.state, upload.owner.as_str(), upload.bytes), (UploadState::Accepted, "mary", 1234));
        assert_eq!(upload.deadline.duration_since(upload.created_at).unsigned_abs(), DEADLINE);
        assert_eq!(db.records.processing_job(first.id).await.unwrap(), Some(first.message.id));
        let history: Vec<_> =
            db.records.events(first.id).await.unwrap().into_iter().map(|event| event.kind.to_string()).collect();
        assert_eq!(history, ["staged", "queued"]);
        let stats = db.records.stats().await.unwrap();
        assert_eq!((stats.admitted, stats.in_state(UploadState::Accepted), stats.queued_jobs), (2, 2, 2));
    })
    .await;
}

#[tokio::test]
async fn a_job_is_leased_to_one_worker_until_the_lease_ends_and_then_to_the_next() {
    on_both_engines(async |db| {
        let admitted = db.admit().await;
        let first = db.begin_attempt(&admitted.message).await;
        assert_eq!((first.number, first.last_error.as_deref()), (1, None));
        let busy = db.records.begin_attempt(&admitted.message, MINUTE).await.unwrap();
        assert!(matches!(busy, LeaseResult::Busy(until) if until == first.leased_until), "{busy:?}");
        db.clock.advance(MINUTE - MS);
        assert!(db.records.renew_lease(&first, MINUTE).await.unwrap());
        db.clock.advance(MINUTE);
        let second = db.begin_attempt(&admitted.message).await;
        assert_eq!(second.number, 2);
        assert_ne!(second.prefix, first.prefix, "no two attempts write the same key");
        // The first worker is alive after all: none of its calls takes effect now.
        assert!(!db.records.renew_lease(&first, MINUTE).await.unwrap());
        let reason = Reason::new("late", "late");
        assert_eq!(db.records.settle_ready(&first, processed_upload(&first)).await.unwrap(), SettleResult::Superseded);
        assert_eq!(db.records.settle_rejected(&first, &reason).await.unwrap(), SettleResult::Superseded);
        assert!(db.records.reschedule(&first, MINUTE, "late").await.unwrap().is_none());
        assert_eq!(db.records.mark_dead(&first, &reason, "late").await.unwrap(), SettleResult::Superseded);
        assert_eq!(db.records.settle_ready(&second, processed_upload(&second)).await.unwrap(), SettleResult::Applied);
        let echo = db.records.begin_attempt(&admitted.message, MINUTE).await.unwrap();
        assert!(matches!(echo, LeaseResult::Gone), "{echo:?}");
    })
    .await;
}

#[tokio::test]
async fn only_one_of_many_workers_leases_a_job() {
    on_both_engines(async |db| {
        for _ in 0..5 {
            let message = db.admit().await.message;
            let tries = (0..16).map(|_| {
                let (records, message) = (db.records.clone(), message.clone());
                tokio::spawn(async move { records.begin_attempt(&message, MINUTE).await.unwrap() })
            });
            let outcomes = futures::future::join_all(tries).await;
            let leased = outcomes.iter().filter(|outcome| matches!(outcome, Ok(LeaseResult::Leased(_)))).count();
            let busy = outcomes.iter().filter(|outcome| matches!(outcome, Ok(LeaseResult::Busy(_)))).count();
            assert_eq!((leased, busy), (1, 15));
        }
    })
    .await;
}

#[tokio::test]
async fn a_ready_upload_has_its_variants_and_no_open_job() {
    on_both_engines(async |db| {
        let admitted = db.admit().await;
        let mut attempt = db.begin_attempt(&admitted.message).await;
        attempt.push_event(db.clock.now(), EventKind::Rendered, "three sizes");
        assert_eq!(db.records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap(), SettleResult::Applied);
        let upload = db.records.upload(admitted.id).await.unwrap().unwrap();
        assert_eq!((upload.state, upload.width, upload.height), (UploadState::Ready, Some(4032), Some(3024)));
        let names: Vec<_> =
            db.records.variants(admitted.id, 0).await.unwrap().iter().map(|v| v.name.to_string()).collect();
        assert_eq!(names, ["150.jpg", "512.jpg", "75.jpg"]);
        let stats = db.records.stats().await.unwrap();
        assert_eq!((stats.in_state(UploadState::Ready), stats.queued_jobs, stats.pending_deletions), (1, 0, 0));
        assert!(db.records.needed_staged_keys(&[upload.staged_key]).await.unwrap().is_empty());
        let last = db.records.events(admitted.id).await.unwrap().pop().unwrap();
        assert_eq!(last.kind.as_str(), "ready");
    })
    .await;
}

#[tokio::test]
async fn a_rejected_upload_has_a_reason_and_its_blobs_are_scheduled_for_deletion() {
    on_both_engines(async |db| {
        let admitted = db.admit().await;
        let attempt = db.begin_attempt(&admitted.message).await;
        let reason = Reason::new("too_small", "it has one pixel");
        assert_eq!(db.records.settle_rejected(&attempt, &reason).await.unwrap(), SettleResult::Applied);
        let upload = db.records.upload(admitted.id).await.unwrap().unwrap();
        assert_eq!((upload.state, upload.reason), (UploadState::Rejected, Some(reason)));
        let deletions = db.records.take_due_deletions(10).await.unwrap();
        assert_eq!(deletions.iter().map(|c| c.prefix.as_str()).collect::<Vec<_>>(), [attempt.prefix.as_str()]);
    })
    .await;
}

#[tokio::test]
async fn an_upload_is_rejected_if_its_owner_is_disabled_meanwhile() {
    on_both_engines(async |db| {
        let admitted = db.admit().await;
        let attempt = db.begin_attempt(&admitted.message).await;
        let mut mary = user("mary");
        mary.disabled = true;
        db.records.upsert_user(&mary).await.unwrap();
        let settled = db.records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap();
        assert!(matches!(settled, SettleResult::Rejected(reason) if reason.code.as_str() == "not_permitted"));
        assert_eq!(db.records.upload(admitted.id).await.unwrap().unwrap().state, UploadState::Rejected);
        assert!(db.records.variants(admitted.id, 0).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_rescheduled_job_is_published_by_the_relay_when_it_is_due_and_keeps_its_last_error() {
    on_both_engines(async |db| {
        let admitted = db.admit().await;
        let attempt = db.begin_attempt(&admitted.message).await;
        assert!(db.records.reschedule(&attempt, MINUTE, "no disk").await.unwrap().is_some());
        assert!(db.due_messages().await.is_empty());
        db.clock.advance(MINUTE + Duration::from_secs(10));
        assert_eq!(db.due_messages().await, std::slice::from_ref(&admitted.message));
        let again = db.begin_attempt(&admitted.message).await;
        assert_eq!((again.number, again.last_error.as_deref()), (2, Some("no disk")));
    })
    .await;
}

#[tokio::test]
async fn only_one_of_many_requests_enqueues_a_variant() {
    on_both_engines(async |db| {
        let upload = db.admit_and_settle().await.id;
        let name = "64.png".parse().unwrap();
        let wants = (0..16).map(|_| {
            let records = db.records.clone();
            tokio::spawn(async move { records.request_variant(upload, 0, name).await.unwrap() })
        });
        let mut messages = Vec::new();
        let mut pending: HashSet<JobId> = HashSet::new();
        for wanted in futures::future::join_all(wants).await {
            match wanted.unwrap() {
                VariantStatus::Enqueued(message) => messages.push(message),
                VariantStatus::Pending(job) => drop(pending.insert(job)),
                other => panic!("{other:?}"),
            }
        }
        let [message] = messages.as_slice() else { panic!("{} jobs were enqueued", messages.len()) };
        assert!(pending.iter().all(|job| *job == message.id));
        let attempt = db.begin_attempt(message).await;
        let made = variant(&attempt, "64.png");
        assert_eq!(db.records.settle_variant(&attempt, 0, &made).await.unwrap(), SettleResult::Applied);
        let VariantStatus::Ready(found) = db.records.request_variant(upload, 0, name).await.unwrap() else {
            panic!("the variant is not ready")
        };
        assert_eq!(found, made);
    })
    .await;
}

#[tokio::test]
async fn a_picture_has_a_limited_number_of_variants_and_a_refusal_has_a_reason() {
    on_both_engines(async |db| {
        let upload = db.admit_and_settle().await.id;
        let VariantStatus::Enqueued(message) =
            db.records.request_variant(upload, 0, "64.png".parse().unwrap()).await.unwrap()
        else {
            panic!("no job was enqueued")
        };
        let attempt = db.begin_attempt(&message).await;
        let reason = Reason::new("bytes_lost", "the original is gone");
        db.records.refuse_variant(&attempt, &reason).await.unwrap();
        let VariantStatus::Refused(why) =
            db.records.request_variant(upload, 0, "64.png".parse().unwrap()).await.unwrap()
        else {
            panic!("the variant was not refused")
        };
        assert_eq!(why, reason);
        for side in 0..60 {
            let name = format!("{}.png", 100 + side).parse().unwrap();
            if let VariantStatus::Refused(why) = db.records.request_variant(upload, 0, name).await.unwrap() {
                assert_eq!((why.code.as_str(), side), ("too_many_variants", 22));
                let usual = db.records.request_variant(upload, 0, "75.png".parse().unwrap()).await.unwrap();
                assert!(matches!(usual, VariantStatus::Enqueued(_)), "{usual:?}");
                return;
            }
        }
        panic!("no limit");
    })
    .await;
}

#[tokio::test]
async fn an_overdue_upload_fails_and_its_job_becomes_dead() {
    on_both_engines(async |db| {
        let (late, done) = (db.admit().await, db.admit_and_settle().await);
        let attempt = db.begin_attempt(&late.message).await;
        db.records.reschedule(&attempt, MINUTE, "no disk").await.unwrap();
        db.clock.advance(DEADLINE - MS);
        assert!(db.records.fail_overdue(10).await.unwrap().is_empty());
        db.clock.advance(MS);
        let failed = db.records.fail_overdue(10).await.unwrap();
        assert_eq!(failed.iter().map(|(id, job, _)| (*id, *job)).collect::<Vec<_>>(), [(late.id, late.message.id)]);
        assert_eq!(db.records.upload(late.id).await.unwrap().unwrap().state, UploadState::Failed);
        assert_eq!(db.records.upload(done.id).await.unwrap().unwrap().state, UploadState::Ready);
        let last = db.records.events(late.id).await.unwrap().pop().unwrap();
        assert!(last.detail.contains("no disk"), "{last:?}");
        assert_eq!(db.records.stats().await.unwrap().dead_jobs, 1);
    })
    .await;
}

/// Settling an upload and failing it at its deadline both lock the upload's row first and the job's
/// row after it. If one of them locked in the opposite order, they could wait for each other.
#[tokio::test]
async fn settling_and_failing_uploads_at_the_deadline_cause_no_deadlock() {
    on_both_engines(async |db| {
        let mut attempts = Vec::new();
        for _ in 0..60 {
            attempts.push(db.begin_attempt(&db.admit().await.message).await);
        }
        db.clock.advance(DEADLINE);
        let settling = attempts.into_iter().map(|attempt| {
            let records = db.records.clone();
            tokio::spawn(async move {
                let made = processed_upload(&attempt);
                records.settle_ready(&attempt, made).await.unwrap()
            })
        });
        let settling: Vec<_> = settling.collect();
        let mut failed = 0;
        loop {
            let batch = db.records.fail_overdue(60).await.unwrap().len();
            failed += batch;
            if batch == 0 && settling.iter().all(tokio::task::JoinHandle::is_finished) {
                break;
            }
            tokio::task::yield_now().await;
        }
        let settled = futures::future::join_all(settling).await;
        let ready = settled.into_iter().filter(|settled| *settled.as_ref().unwrap() == SettleResult::Applied).count();
        assert_eq!(ready + failed, 60);
        assert_eq!(db.records.stats().await.unwrap().unaccounted(), 0);
    })
    .await;
}

async fn complete_due_deletions(db: &TestDb) -> Vec<String> {
    let mut prefixes = Vec::new();
    for deletion in db.records.take_due_deletions(10).await.unwrap() {
        db.records.complete_deletion(&deletion).await.unwrap();
        prefixes.push(deletion.prefix);
    }
    prefixes.sort();
    prefixes
}

#[tokio::test]
async fn the_blobs_of_an_attempt_are_deleted_after_another_attempt_settles() {
    on_both_engines(async |db| {
        let admitted = db.admit().await;
        let killed = db.begin_attempt(&admitted.message).await;
        db.clock.advance(MINUTE);
        let failed = db.begin_attempt(&admitted.message).await;
        assert!(db.records.reschedule(&failed, MINUTE, "no disk").await.unwrap().is_some());
        let settled = db.begin_attempt(&admitted.message).await;
        db.clock.advance(DEADLINE - 3 * MINUTE);
        assert!(complete_due_deletions(db).await.is_empty(), "while the job exists, nothing that it wrote is deleted");
        assert_eq!(db.records.settle_ready(&settled, processed_upload(&settled)).await.unwrap(), SettleResult::Applied);
        assert_eq!(
            db.records.settle_ready(&killed, processed_upload(&killed)).await.unwrap(),
            SettleResult::Superseded
        );
        assert!(complete_due_deletions(db).await.is_empty(), "the first attempt may still be writing");
        db.clock.advance(Duration::from_secs(3600));
        let mut others = [killed.prefix, failed.prefix];
        others.sort();
        assert_eq!(complete_due_deletions(db).await, others);
        db.clock.advance(Duration::from_secs(3600));
        assert!(complete_due_deletions(db).await.is_empty(), "what was settled stays");
    })
    .await;
}

#[tokio::test]
async fn the_blobs_of_an_attempt_are_deleted_after_its_job_fails_or_its_upload_expires() {
    on_both_engines(async |db| {
        let overdue = db.admit().await;
        let first = db.begin_attempt(&overdue.message).await;
        db.clock.advance(DEADLINE);
        assert_eq!(db.records.fail_overdue(10).await.unwrap().len(), 1);
        assert_eq!(db.records.settle_ready(&first, processed_upload(&first)).await.unwrap(), SettleResult::Superseded);
        assert!(complete_due_deletions(db).await.is_empty(), "the attempt may still be writing");
        db.records.retry_job(overdue.message.id, DEADLINE).await.unwrap().unwrap();
        let again = db.begin_attempt(&overdue.message).await;
        assert_eq!(db.records.settle_ready(&again, processed_upload(&again)).await.unwrap(), SettleResult::Applied);
        db.clock.advance(Duration::from_secs(3600));
        assert_eq!(
            complete_due_deletions(db).await,
            [first.prefix],
            "what was settled after the first attempt is not deleted"
        );

        let dead = db.begin_attempt(&db.admit().await.message).await;
        db.records.mark_dead(&dead, &Reason::new("no", "no"), "no").await.unwrap();
        assert_eq!(complete_due_deletions(db).await, [dead.prefix]);

        let expired = db.begin_attempt(&db.admit().await.message).await;
        db.clock.advance(RETENTION);
        assert_eq!(db.records.expire(10).await.unwrap().len(), 2);
        let all = complete_due_deletions(db).await;
        assert!(all.iter().any(|prefix| expired.prefix.starts_with(prefix)), "{all:?}");
        db.clock.advance(Duration::from_secs(3600));
        assert_eq!(
            complete_due_deletions(db).await,
            [expired.prefix],
            "what the attempt wrote after the expiry is deleted too"
        );
    })
    .await;
}

#[tokio::test]
async fn a_deletion_whose_sweeper_died_is_taken_again() {
    on_both_engines(async |db| {
        let attempt = db.begin_attempt(&db.admit().await.message).await;
        db.records.settle_rejected(&attempt, &Reason::new("no", "no")).await.unwrap();
        let taken = db.records.take_due_deletions(10).await.unwrap();
        let [deletion] = taken.as_slice() else { panic!("{taken:?}") };
        assert_eq!(deletion.prefix, attempt.prefix);
        assert!(db.records.take_due_deletions(10).await.unwrap().is_empty(), "a sweeper is deleting the prefix");
        db.clock.advance(Duration::from_secs(600));
        assert_eq!(db.records.take_due_deletions(10).await.unwrap(), taken, "the sweeper that took it has died");
        db.records.complete_deletion(deletion).await.unwrap();
        db.clock.advance(Duration::from_secs(600));
        assert!(db.records.take_due_deletions(10).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn several_sweepers_share_the_deletions() {
    on_both_engines(async |db| {
        for _ in 0..30 {
            let attempt = db.begin_attempt(&db.admit().await.message).await;
            db.records.settle_rejected(&attempt, &Reason::new("no", "no")).await.unwrap();
        }
        let takes = (0..6).map(|_| {
            let records = db.records.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let batch = records.take_due_deletions(3).await.unwrap();
                    if batch.is_empty() {
                        return mine;
                    }
                    mine.extend(batch.into_iter().map(|deletion| deletion.prefix));
                }
            })
        });
        let taken: Vec<String> = futures::future::join_all(takes).await.into_iter().flat_map(Result::unwrap).collect();
        assert_eq!(taken.len(), 30);
        assert_eq!(taken.into_iter().collect::<HashSet<_>>().len(), 30);
    })
    .await;
}
