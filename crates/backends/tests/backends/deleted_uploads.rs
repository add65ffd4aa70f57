//! Deletion of unclaimed pictures, on SQLite and PostgreSQL: what becomes of the picture in each state, and races.

use domain::{
    ExpectedVersion, FileId, JobMessage, Reason, ReasonCode, Resource, Service, UploadId, UploadState, UploadTarget,
};
use futures::future::join_all;
use records::{
    ClaimRefusal, Claimant, DeleteUploadRefusal, DiscardedUploads, LeaseResult, SettleResult, Usage, VariantStatus,
};
use test_support::test_db::{MINUTE, RETENTION, TestDb, admission, on_both_engines, processed_upload, variant};

use crate::files::{file_admission, settle_ready};

fn user(id: &str) -> Claimant {
    Claimant { user: id.to_owned(), admin: false }
}

fn choir() -> Resource {
    Resource { service: Service::Groups, id: "choir".to_owned() }
}

async fn delete(db: &TestDb, id: UploadId) -> Result<DiscardedUploads, DeleteUploadRefusal> {
    db.records.delete_upload(id, &user("mary"), ExpectedVersion::Any).await.unwrap()
}

async fn request_variant(db: &TestDb, id: UploadId) -> JobMessage {
    match db.records.request_variant(id, 0, "96.jpg".parse().unwrap()).await.unwrap() {
        VariantStatus::Enqueued(message) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_picture_in_any_state_is_deleted_with_its_jobs_and_its_usage() {
    on_both_engines(async |db| {
        let no = Reason::new("no", "no");
        let (ready, waiting, leased) = (db.admit_and_settle().await, db.admit().await, db.admit().await);
        let leased_attempt = db.begin_attempt(&leased.message).await;
        let wanted = request_variant(db, ready.id).await;
        let (dead, rejected) = (db.admit().await, db.admit().await);
        db.records.mark_dead(&db.begin_attempt(&dead.message).await, &no, "no").await.unwrap();
        db.records.settle_rejected(&db.begin_attempt(&rejected.message).await, &no).await.unwrap();
        let staged = async |id| vec![db.records.upload(id).await.unwrap().unwrap().staged_key];
        for (admitted, cancelled, staged_keys) in [
            (&ready, vec![wanted.id], vec![]),
            (&waiting, vec![waiting.message.id], staged(waiting.id).await),
            (&leased, vec![leased.message.id], staged(leased.id).await),
            (&dead, vec![], staged(dead.id).await),
            (&rejected, vec![], vec![]),
        ] {
            let id = admitted.id;
            let expected = DiscardedUploads { uploads: vec![id], cancelled_jobs: cancelled, staged_keys };
            assert_eq!(delete(db, id).await, Ok(expected));
            let upload = db.records.upload(id).await.unwrap().unwrap();
            assert_eq!((upload.state, upload.reason.unwrap().code), (UploadState::Expired, ReasonCode::Deleted));
            let last = db.records.events(id).await.unwrap().pop().unwrap();
            assert_eq!((last.kind.as_str(), last.detail.as_str()), ("deleted", "by mary"));
            assert!(db.records.jobs_of(id).await.unwrap().is_empty());
            assert!(db.records.needed_staged_keys(&staged(id).await).await.unwrap().is_empty());
            // A repeated deletion changes nothing.
            assert_eq!(delete(db, id).await, Ok(DiscardedUploads::default()));
            assert_eq!(db.records.events(id).await.unwrap().pop().unwrap(), last);
        }
        assert_eq!(db.records.usage("mary").await.unwrap(), Usage::default());
        assert_eq!(db.records.unclaimed("mary").await.unwrap().pictures, 0);
        assert!(db.records.recount_usage().await.unwrap().is_empty());
        let deletions = db.records.take_due_deletions(100).await.unwrap();
        for id in [ready.id, waiting.id, leased.id, dead.id, rejected.id] {
            let prefix = domain::blob_keys::upload_prefix(id);
            assert!(deletions.iter().any(|deletion| deletion.prefix == prefix), "{id}");
        }
        // An attempt may still be writing its blobs, so they are deleted once more later.
        db.clock.advance(RETENTION);
        let later = db.records.take_due_deletions(100).await.unwrap();
        assert!(later.iter().any(|deletion| deletion.prefix == leased_attempt.prefix));
        assert!(db.records.retry_job(dead.message.id, MINUTE).await.unwrap().is_none());
        assert_eq!(db.records.stats().await.unwrap().unaccounted(), 0);
    })
    .await;
}

/// A worker that runs an attempt while the picture is deleted changes nothing, however the attempt ends.
#[tokio::test]
async fn an_attempt_at_a_deleted_picture_settles_nothing() {
    on_both_engines(async |db| {
        let no = Reason::new("no", "no");
        let admitted = db.admit().await;
        let attempt = db.begin_attempt(&admitted.message).await;
        delete(db, admitted.id).await.unwrap();
        let records = &db.records;
        assert!(!records.renew_lease(&attempt, MINUTE).await.unwrap());
        let settled = records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap();
        assert_eq!(settled, SettleResult::Superseded);
        assert_eq!(records.settle_rejected(&attempt, &no).await.unwrap(), SettleResult::Superseded);
        assert_eq!(records.mark_dead(&attempt, &no, "no").await.unwrap(), SettleResult::Superseded);
        assert!(records.reschedule(&attempt, MINUTE, "no").await.unwrap().is_none());
        assert!(matches!(records.begin_attempt(&admitted.message, MINUTE).await.unwrap(), LeaseResult::Gone));

        let ready = db.admit_and_settle().await.id;
        let message = request_variant(db, ready).await;
        let attempt = db.begin_attempt(&message).await;
        delete(db, ready).await.unwrap();
        let made = variant(&attempt, "96.jpg");
        assert_eq!(records.settle_variant(&attempt, 0, &made).await.unwrap(), SettleResult::Superseded);
        assert!(records.variants(ready, 0).await.unwrap().is_empty());
        let late = records.request_variant(ready, 0, "97.jpg".parse().unwrap()).await.unwrap();
        assert!(matches!(late, VariantStatus::Outdated));
        assert_eq!(records.usage("mary").await.unwrap(), Usage::default());
    })
    .await;
}

#[tokio::test]
async fn a_deletion_is_refused_for_a_reason() {
    on_both_engines(async |db| {
        let any = ExpectedVersion::Any;
        let admin = Claimant { user: "root".to_owned(), admin: true };
        assert_eq!(delete(db, UploadId::try_from(77).unwrap()).await, Err(DeleteUploadRefusal::Unknown));
        let id = db.admit_and_settle().await.id;
        let paul = db.records.delete_upload(id, &user("paul"), any).await.unwrap();
        assert_eq!(paul, Err(DeleteUploadRefusal::Unknown), "the answer must not tell that the picture exists");
        for expected in [ExpectedVersion::Exactly(1), ExpectedVersion::Outdated] {
            let refused = db.records.delete_upload(id, &user("mary"), expected).await.unwrap();
            assert_eq!(refused, Err(DeleteUploadRefusal::VersionChanged));
        }
        let deleted = db.records.delete_upload(id, &admin, ExpectedVersion::Exactly(0)).await.unwrap();
        assert_eq!(deleted.unwrap().uploads, [id]);
        // It is deleted, so every expectation is met.
        assert!(db.records.delete_upload(id, &admin, ExpectedVersion::Outdated).await.unwrap().is_ok());
        let claim = db.records.claim(id, &choir(), &user("mary"), None, ExpectedVersion::Any).await.unwrap();
        assert_eq!(claim, Err(ClaimRefusal::Deleted));

        let claimed = db.admit_and_settle().await.id;
        db.records.claim(claimed, &choir(), &user("mary"), None, ExpectedVersion::Any).await.unwrap().unwrap();
        for by in [user("mary"), admin] {
            let refused = db.records.delete_upload(claimed, &by, any).await.unwrap();
            assert_eq!(refused, Err(DeleteUploadRefusal::Claimed(choir())));
        }
        let target = UploadTarget::NewFile(FileId::generate());
        let version = db.records.admit_into_file(file_admission(target)).await.unwrap().unwrap();
        assert_eq!(delete(db, version.id).await, Err(DeleteUploadRefusal::BelongsToFile));
        assert_eq!(settle_ready(db, &version).await, SettleResult::Applied);
        assert_eq!(delete(db, version.id).await, Err(DeleteUploadRefusal::BelongsToFile));

        let expired = db.records.admit(admission("mary")).await.unwrap().id;
        db.clock.advance(RETENTION);
        assert!(db.records.expire(10).await.unwrap().contains(&expired));
        assert_eq!(delete(db, expired).await, Ok(DiscardedUploads::default()));
        let kept = db.records.upload(expired).await.unwrap().unwrap().reason.unwrap().code;
        assert_eq!(kept, ReasonCode::Unclaimed);
    })
    .await;
}

/// Claims, deletions and the end of the retention meet in any order: each picture has one end.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_claimed_or_deleted_or_expires() {
    on_both_engines(async |db| {
        let mut uploads = Vec::new();
        for _ in 0..24 {
            uploads.push(db.admit_and_settle().await.id);
        }
        db.clock.advance(RETENTION - std::time::Duration::from_millis(1));
        let writes = uploads.iter().map(|upload| {
            let (records, upload) = (db.records.clone(), *upload);
            let claim = records.clone();
            let claim = tokio::spawn(async move {
                claim.claim(upload, &choir(), &user("mary"), None, ExpectedVersion::Any).await.unwrap().is_ok()
            });
            let delete = tokio::spawn(async move {
                let deleted = records.delete_upload(upload, &user("mary"), ExpectedVersion::Any).await.unwrap();
                deleted.is_ok_and(|discarded| !discarded.uploads.is_empty())
            });
            async move { (upload, claim.await.unwrap(), delete.await.unwrap()) }
        });
        let writes: Vec<_> = writes.collect();
        let sweep = async {
            db.clock.advance(std::time::Duration::from_millis(1));
            db.records.expire(100).await.unwrap()
        };
        let (ends, mut expired) = tokio::join!(join_all(writes), sweep);
        expired.extend(db.records.expire(100).await.unwrap());
        for (upload, claimed, deleted) in ends {
            let ends = [claimed, deleted, expired.contains(&upload)];
            assert_eq!(ends.iter().filter(|end| **end).count(), 1, "{upload}: {ends:?}");
            let upload = db.records.upload(upload).await.unwrap().unwrap();
            assert_eq!((upload.claim.is_some(), upload.state == UploadState::Ready), (claimed, claimed));
            let deletions = upload.reason.is_some_and(|reason| reason.code == ReasonCode::Deleted);
            assert_eq!(deletions, deleted);
        }
        assert!(db.records.recount_usage().await.unwrap().is_empty());
    })
    .await;
}

/// An operator retries the job of a failed picture while its uploader deletes it: the picture is deleted, and its job is
/// gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_that_is_retried_during_the_deletion_leaves_nothing() {
    on_both_engines(async |db| {
        for _ in 0..8 {
            let dead = db.admit().await;
            let attempt = db.begin_attempt(&dead.message).await;
            db.records.mark_dead(&attempt, &Reason::new("no", "no"), "no").await.unwrap();
            let (deleted, retried) = tokio::join!(delete(db, dead.id), db.records.retry_job(dead.message.id, MINUTE));
            assert_eq!(deleted.unwrap().cancelled_jobs.len(), usize::from(retried.unwrap().is_some()));
            assert!(db.records.jobs_of(dead.id).await.unwrap().is_empty());
            assert_eq!(db.records.upload(dead.id).await.unwrap().unwrap().state, UploadState::Expired);
        }
        assert_eq!(db.records.usage("mary").await.unwrap(), Usage::default());
    })
    .await;
}
