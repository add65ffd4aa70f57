//! Tests dead jobs, and how an operator retries or discards them, on SQLite and PostgreSQL.

use std::collections::HashSet;

use domain::{Reason, UploadState, UploadTarget};
use records::{LeaseResult, SettleResult, VariantStatus};
use test_support::test_db::{DEADLINE, MINUTE, RETENTION, on_both_engines, processed_upload, variant};

use crate::files;

#[tokio::test]
async fn a_dead_job_keeps_its_history_and_its_bytes() {
    on_both_engines(async |db| {
        let admitted = db.admit().await;
        let attempt = db.begin_attempt(&admitted.message).await;
        let reason = Reason::new("gave_up", "five attempts");
        assert_eq!(db.records.mark_dead(&attempt, &reason, "it crashed").await.unwrap(), SettleResult::Applied);
        let upload = db.records.upload(admitted.id).await.unwrap().unwrap();
        assert_eq!((upload.state, upload.reason), (UploadState::Failed, Some(reason)));
        let keys = [upload.staged_key];
        assert_eq!(db.records.needed_staged_keys(&keys).await.unwrap(), HashSet::from(keys.clone()));
        let stats = db.records.stats().await.unwrap();
        assert_eq!((stats.dead_jobs, stats.queued_jobs), (1, 0));
        assert!(matches!(db.records.begin_attempt(&admitted.message, MINUTE).await.unwrap(), LeaseResult::Gone));
        // Once the upload cannot be claimed any more, its bytes are deleted too.
        db.clock.advance(RETENTION);
        assert!(db.records.needed_staged_keys(&keys).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_is_tried_again_as_if_for_the_first_time() {
    on_both_engines(async |db| {
        let admitted = db.admit().await;
        let attempt = db.begin_attempt(&admitted.message).await;
        db.records.mark_dead(&attempt, &Reason::new("gave_up", "five attempts"), "it crashed").await.unwrap();
        let dead = db.records.jobs(true, 10).await.unwrap();
        assert_eq!(
            dead.iter().map(|job| (job.id, job.last_error.as_deref())).collect::<Vec<_>>(),
            [(admitted.message.id, Some("it crashed"))]
        );
        db.clock.advance(2 * DEADLINE);
        let message = db.records.retry_job(admitted.message.id, DEADLINE).await.unwrap().unwrap().message;
        assert_eq!(message, admitted.message);
        assert!(db.records.retry_job(message.id, DEADLINE).await.unwrap().is_none(), "the job is not dead any more");
        let upload = db.records.upload(admitted.id).await.unwrap().unwrap();
        assert_eq!((upload.state, upload.reason, upload.settled_at), (UploadState::Accepted, None, None));
        assert!(db.records.fail_overdue(10).await.unwrap().is_empty(), "the upload's new deadline is still ahead");
        let again = db.begin_attempt(&message).await;
        assert_eq!(
            (again.number, again.counted_attempts),
            (2, 1),
            "the number of the attempt grows, and the count begins anew"
        );
        assert_eq!(
            db.records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap(),
            SettleResult::Superseded,
            "an attempt from before the retry settles nothing"
        );
        db.records.settle_ready(&again, processed_upload(&again)).await.unwrap();
        assert_eq!(db.records.stats().await.unwrap().unaccounted(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_dead_job_can_be_discarded_and_is_not_retried_after_its_upload_expired() {
    on_both_engines(async |db| {
        let (one, two) = (db.admit().await, db.admit().await);
        for admitted in [&one, &two] {
            let attempt = db.begin_attempt(&admitted.message).await;
            db.records.mark_dead(&attempt, &Reason::new("gave_up", "gave up"), "it crashed").await.unwrap();
        }
        assert!(db.records.discard_job(one.message.id).await.unwrap());
        assert!(!db.records.discard_job(one.message.id).await.unwrap());
        let failed = db.records.upload(one.id).await.unwrap().unwrap();
        assert_eq!(failed.state, UploadState::Failed);
        assert!(
            db.records.needed_staged_keys(&[failed.staged_key]).await.unwrap().is_empty(),
            "no job can use the bytes"
        );
        db.clock.advance(RETENTION);
        assert!(db.records.retry_job(two.message.id, DEADLINE).await.unwrap().is_none());
        assert!(db.records.job(two.message.id).await.unwrap().unwrap().dead);
        assert_eq!(db.records.jobs_of(two.id).await.unwrap().len(), 1);
    })
    .await;
}

/// The target file waits for the upload, however long an operator needs to find the fault. An upload
/// into a file never waits for a claim, so it does not expire.
#[tokio::test]
async fn an_upload_into_a_file_keeps_its_bytes_until_its_job_is_discarded() {
    on_both_engines(async |db| {
        let (_, version) = files::new_file(db).await;
        let admission = files::file_admission(files::rendition_target(version, "small"));
        assert!(matches!(admission.target, UploadTarget::Rendition { .. }));
        let keys = [admission.staged.key.clone()];
        let admitted = db.records.admit_into_file(admission).await.unwrap().unwrap();
        let attempt = db.begin_attempt(&admitted.message).await;
        db.records.mark_dead(&attempt, &Reason::new("gave_up", "five attempts"), "blobs were away").await.unwrap();
        db.clock.advance(3 * RETENTION);
        assert_eq!(db.records.needed_staged_keys(&keys).await.unwrap(), HashSet::from(keys.clone()));
        assert!(db.records.discard_job(admitted.message.id).await.unwrap());
        assert!(db.records.needed_staged_keys(&keys).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_variant_stays_failed_until_its_dead_job_is_retried_or_discarded() {
    on_both_engines(async |db| {
        let upload = db.admit_and_settle().await.id;
        let name = "64.png".parse().unwrap();
        let want = async || db.records.request_variant(upload, 0, name).await.unwrap();
        let VariantStatus::Enqueued(message) = want().await else { panic!("no job was enqueued") };
        let reason = Reason::new("gave_up", "five attempts");
        for _ in 0..2 {
            let attempt = db.begin_attempt(&message).await;
            assert_eq!(
                db.records.mark_dead(&attempt, &reason, "blobs were away").await.unwrap(),
                SettleResult::Applied
            );
            assert!(matches!(want().await, VariantStatus::Failed(why) if why == reason));
            assert_eq!(db.records.retry_job(message.id, DEADLINE).await.unwrap().unwrap().message, message);
            assert!(matches!(want().await, VariantStatus::Pending(job) if job == message.id));
        }
        let attempt = db.begin_attempt(&message).await;
        db.records.mark_dead(&attempt, &reason, "blobs were away").await.unwrap();
        assert!(db.records.discard_job(message.id).await.unwrap());
        let VariantStatus::Enqueued(anew) = want().await else { panic!("no new job was enqueued") };
        let attempt = db.begin_attempt(&anew).await;
        let made = variant(&attempt, "64.png");
        assert_eq!(db.records.settle_variant(&attempt, 0, &made).await.unwrap(), SettleResult::Applied);
        assert!(matches!(want().await, VariantStatus::Ready(found) if found == made));
    })
    .await;
}
