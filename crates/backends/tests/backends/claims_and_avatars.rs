//! Claiming, expiry and avatars, on SQLite and PostgreSQL: a picture is either claimed or expires, never both.

use std::collections::HashSet;

use domain::{ExpectedVersion, Reason, ReasonCode, Resource, Service, UploadId, UploadState};
use futures::future::join_all;
use records::{ClaimRefusal, Claimant};
use test_support::test_db::{MINUTE, RETENTION, on_both_engines, processed_upload, user};

fn mary() -> Claimant {
    Claimant { user: "mary".to_owned(), admin: false }
}

fn group(id: impl ToString) -> Resource {
    Resource { service: Service::Groups, id: id.to_string() }
}

#[tokio::test]
async fn a_claim_can_be_repeated_and_no_other_resource_gets_the_picture() {
    on_both_engines(async |db| {
        let upload = db.admit_and_settle().await.id;
        for _ in 0..2 {
            db.records.claim(upload, &group("choir"), &mary(), None, ExpectedVersion::Any).await.unwrap().unwrap();
        }
        let claim = db.records.upload(upload).await.unwrap().unwrap().claim.unwrap();
        assert_eq!((claim.resource, claim.by.as_str()), (group("choir"), "mary"));
        let elsewhere = db.records.claim(upload, &group("band"), &mary(), None, ExpectedVersion::Any).await.unwrap();
        assert_eq!(elsewhere, Err(ClaimRefusal::ClaimedElsewhere));
        // A claimed picture does not expire.
        db.clock.advance(2 * RETENTION);
        assert!(db.records.expire(10).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_refused_claim_has_the_reason_of_the_upload() {
    on_both_engines(async |db| {
        let paul = Claimant { user: "paul".to_owned(), admin: false };
        let admin = Claimant { user: "root".to_owned(), admin: true };
        let nowhere = UploadId::try_from(77).unwrap();
        assert_eq!(
            db.records.claim(nowhere, &group(1), &mary(), None, ExpectedVersion::Any).await.unwrap(),
            Err(ClaimRefusal::Unknown)
        );
        let upload = db.admit_and_settle().await.id;
        let hidden = db.records.claim(upload, &group(1), &paul, None, ExpectedVersion::Any).await.unwrap();
        assert_eq!(hidden, Err(ClaimRefusal::Unknown), "the answer must not tell that the picture exists");
        db.records.claim(upload, &group(1), &admin, None, ExpectedVersion::Any).await.unwrap().unwrap();

        let rejected = db.admit().await;
        let reason = Reason::new("too_small", "it has one pixel");
        let attempt = db.begin_attempt(&rejected.message).await;
        db.records.settle_rejected(&attempt, &reason).await.unwrap();
        let unusable = db.records.claim(rejected.id, &group(1), &mary(), None, ExpectedVersion::Any).await.unwrap();
        assert_eq!(unusable, Err(ClaimRefusal::Unusable(reason)));

        let late = db.admit_and_settle().await.id;
        db.clock.advance(RETENTION);
        let before_the_sweep = db.records.claim(late, &group(1), &mary(), None, ExpectedVersion::Any).await.unwrap();
        assert_eq!(before_the_sweep, Err(ClaimRefusal::Expired));
        assert_eq!(db.records.expire(10).await.unwrap(), [late]);
        let after = db.records.claim(late, &group(1), &mary(), None, ExpectedVersion::Any).await.unwrap();
        assert_eq!(after, Err(ClaimRefusal::Expired));
    })
    .await;
}

#[tokio::test]
async fn of_many_claims_one_wins() {
    on_both_engines(async |db| {
        let upload = db.admit_and_settle().await.id;
        let claims = (0..16).map(|n| {
            let records = db.records.clone();
            tokio::spawn(
                async move { records.claim(upload, &group(n), &mary(), None, ExpectedVersion::Any).await.unwrap() },
            )
        });
        let won = join_all(claims).await.into_iter().filter(|outcome| matches!(outcome, Ok(Ok(())))).count();
        assert_eq!(won, 1);
    })
    .await;
}

/// Claims begin before the end of the retention and sweeps after it. They end in any order: each
/// picture is either claimed or expired.
#[tokio::test]
async fn a_picture_is_claimed_or_expires_and_never_both() {
    on_both_engines(async |db| {
        let mut uploads = Vec::new();
        for _ in 0..24 {
            uploads.push(db.admit_and_settle().await.id);
        }
        db.clock.advance(RETENTION - std::time::Duration::from_millis(1));
        let claims = uploads.iter().map(|upload| {
            let (records, upload) = (db.records.clone(), *upload);
            tokio::spawn(async move {
                (
                    upload,
                    records.claim(upload, &group(upload), &mary(), None, ExpectedVersion::Any).await.unwrap().is_ok(),
                )
            })
        });
        let claims: Vec<_> = claims.collect();
        let (clock, sweepers) = (db.clock.clone(), db.records.clone());
        let sweep = tokio::spawn(async move {
            clock.advance(std::time::Duration::from_millis(1));
            let mut expired = HashSet::new();
            for batch in join_all((0..4).map(|_| sweepers.expire(10))).await {
                expired.extend(batch.unwrap());
            }
            expired
        });
        let claimed: HashSet<UploadId> =
            join_all(claims).await.into_iter().map(Result::unwrap).filter(|(_, won)| *won).map(|(id, _)| id).collect();
        let mut expired = sweep.await.unwrap();
        expired.extend(db.records.expire(100).await.unwrap());
        assert!(claimed.is_disjoint(&expired), "{claimed:?} {expired:?}");
        assert_eq!(claimed.len() + expired.len(), uploads.len());
        for upload in uploads {
            let upload = db.records.upload(upload).await.unwrap().unwrap();
            assert_eq!(upload.claim.is_some(), upload.state == UploadState::Ready, "{upload:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_expired_upload_loses_its_job_its_variants_and_its_bytes() {
    on_both_engines(async |db| {
        let (ready, waiting) = (db.admit_and_settle().await.id, db.admit().await);
        db.clock.advance(RETENTION);
        let mut expired = db.records.expire(10).await.unwrap();
        expired.sort();
        assert_eq!(expired, [ready, waiting.id]);
        assert!(db.records.variants(ready, 0).await.unwrap().is_empty());
        assert!(db.records.processing_job(waiting.id).await.unwrap().is_none());
        let deletions = db.records.take_due_deletions(10).await.unwrap();
        let mut prefixes: Vec<_> = deletions.into_iter().map(|deletion| deletion.prefix).collect();
        prefixes.sort();
        assert_eq!(prefixes, [format!("uploads/3/{ready}-"), format!("uploads/3/{}-", waiting.id)]);
    })
    .await;
}

#[tokio::test]
async fn an_attempt_at_an_expired_upload_settles_nothing() {
    on_both_engines(async |db| {
        let admitted = db.admit().await;
        db.clock.advance(RETENTION - MINUTE);
        let attempt = db.begin_attempt(&admitted.message).await;
        db.clock.advance(MINUTE);
        db.records.expire(10).await.unwrap();
        let settled =
            db.records.settle_ready(&attempt, test_support::test_db::processed_upload(&attempt)).await.unwrap();
        assert_eq!(settled, records::SettleResult::Superseded);
        assert_eq!(db.records.upload(admitted.id).await.unwrap().unwrap().state, UploadState::Expired);
        assert!(db.records.variants(admitted.id, 0).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_avatar_is_the_newest_claimed_picture_that_is_ready() {
    on_both_engines(async |db| {
        let choir = group("choir");
        assert!(db.records.avatar(&choir).await.unwrap().is_none());
        let first = db.admit_and_settle().await.id;
        db.records.claim(first, &choir, &mary(), None, ExpectedVersion::Any).await.unwrap().unwrap();
        let (version, shown) = db.records.avatar(&choir).await.unwrap().unwrap();
        assert_eq!(shown.id, first);
        // A picture that is still being processed does not hide the one before it.
        let second = db.admit().await;
        db.records.claim(second.id, &choir, &mary(), None, ExpectedVersion::Any).await.unwrap().unwrap();
        assert_eq!(db.records.avatar(&choir).await.unwrap().unwrap().1.id, first);
        let attempt = db.begin_attempt(&second.message).await;
        db.records.settle_ready(&attempt, test_support::test_db::processed_upload(&attempt)).await.unwrap();
        assert_eq!(db.records.avatar(&choir).await.unwrap().unwrap().1.id, second.id);
        assert_eq!(db.records.avatar_version(&choir, version).await.unwrap().unwrap().id, first);
        assert!(db.records.avatar_version(&group("band"), version).await.unwrap().is_none());
        db.records.remove_avatar(&choir, "mary", ExpectedVersion::Any).await.unwrap().unwrap();
        assert!(db.records.avatar(&choir).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn an_avatar_that_is_removed_many_times_gets_one_new_version() {
    on_both_engines(async |db| {
        let choir = group("choir");
        let claimed = async || {
            let admitted = db.admit().await;
            db.records.claim(admitted.id, &choir, &mary(), None, ExpectedVersion::Any).await.unwrap().unwrap();
            admitted
        };
        let settled = async |admitted: &records::Admitted| {
            let attempt = db.begin_attempt(&admitted.message).await;
            db.records.settle_ready(&attempt, test_support::test_db::processed_upload(&attempt)).await.unwrap();
        };
        let shown = async || db.records.avatar(&choir).await.unwrap();
        let remove = async || db.records.remove_avatar(&choir, "mary", ExpectedVersion::Any).await.unwrap().unwrap();
        remove().await;
        let first = claimed().await;
        settled(&first).await;
        let (version, upload) = shown().await.unwrap();
        assert_eq!(upload.id, first.id);
        for _ in 0..20 {
            remove().await;
        }
        assert!(shown().await.is_none());
        let second = claimed().await;
        settled(&second).await;
        // Version numbers are row numbers of this test's database.
        assert_eq!(shown().await.unwrap().0, version + 2, "the picture, the default one, a picture");
    })
    .await;
}

/// A removal deletes the picture that is shown, those that it had replaced, and one that is being processed.
#[tokio::test]
async fn a_removed_avatar_is_deleted_with_its_history() {
    on_both_engines(async |db| {
        let (choir, band) = (group("choir"), group("band"));
        let claim = async |upload, resource: &Resource| {
            db.records.claim(upload, resource, &mary(), None, ExpectedVersion::Any).await.unwrap()
        };
        let (former, shown, elsewhere) =
            (db.admit_and_settle().await.id, db.admit_and_settle().await.id, db.admit_and_settle().await.id);
        claim(elsewhere, &band).await.unwrap();
        let kept = db.records.usage("mary").await.unwrap().bytes / 3;
        let pending = db.admit().await;
        for upload in [former, shown, pending.id] {
            claim(upload, &choir).await.unwrap();
        }
        let attempt = db.begin_attempt(&pending.message).await;
        let (version, _) = db.records.avatar(&choir).await.unwrap().unwrap();
        let removed = db.records.remove_avatar(&choir, "mary", ExpectedVersion::Any).await.unwrap().unwrap();
        assert_eq!(removed.uploads, [former, shown, pending.id]);
        assert_eq!(removed.cancelled_jobs, [pending.message.id]);
        assert_eq!(removed.staged_keys, std::slice::from_ref(&attempt.upload.staged_key));
        let settled = db.records.settle_ready(&attempt, processed_upload(&attempt)).await.unwrap();
        assert_eq!(settled, records::SettleResult::Superseded);
        assert!(db.records.avatar(&choir).await.unwrap().is_none());
        for upload in removed.uploads {
            let upload = db.records.upload(upload).await.unwrap().unwrap();
            assert_eq!((upload.state, upload.reason.unwrap().code), (UploadState::Expired, ReasonCode::Deleted));
            let last = db.records.events(upload.id).await.unwrap().pop().unwrap();
            assert_eq!(last.detail, "by mary, as the avatar of groups/choir");
            assert_eq!(claim(upload.id, &choir).await, Err(ClaimRefusal::Deleted), "a claim that was made before");
        }
        let former_version = db.records.avatar_version(&choir, version).await.unwrap().unwrap();
        assert_eq!(former_version.state, UploadState::Expired);
        // Another resource keeps its avatar, and the counters have only its bytes.
        assert_eq!(db.records.avatar(&band).await.unwrap().unwrap().1.id, elsewhere);
        let usage = db.records.usage("mary").await.unwrap();
        assert_eq!((usage.bytes, usage.uploads, usage.variants), (kept, 0, 0));
        assert!(db.records.recount_usage().await.unwrap().is_empty());
        let due: HashSet<_> =
            db.records.take_due_deletions(10).await.unwrap().into_iter().map(|row| row.upload).collect();
        assert_eq!(due, HashSet::from([former, shown, pending.id].map(Some)));
    })
    .await;
}

/// SQLite has one writer at a time and PostgreSQL many; the totals must be the same.
#[tokio::test]
async fn a_crowd_admits_and_settles_and_everything_adds_up() {
    on_both_engines(async |db| {
        db.records.upsert_user(&user("paul")).await.unwrap();
        let crowd = (0..40).map(|n| {
            let records = db.records.clone();
            tokio::spawn(async move {
                let admitted = records.admit(test_support::test_db::admission("paul")).await.unwrap();
                let records::LeaseResult::Leased(attempt) =
                    records.begin_attempt(&admitted.message, MINUTE).await.unwrap()
                else {
                    panic!("no other worker knows this job");
                };
                match n % 4 {
                    0 => records.settle_rejected(&attempt, &Reason::new("no", "no")).await.unwrap(),
                    1 => records.mark_dead(&attempt, &Reason::new("gave_up", "gave up"), "crash").await.unwrap(),
                    2 => records
                        .reschedule(&attempt, MINUTE, "later")
                        .await
                        .unwrap()
                        .map_or(records::SettleResult::Superseded, |_| records::SettleResult::Applied),
                    _ => {
                        records.settle_ready(&attempt, test_support::test_db::processed_upload(&attempt)).await.unwrap()
                    }
                }
            })
        });
        for settled in join_all(crowd).await {
            assert_eq!(settled.unwrap(), records::SettleResult::Applied);
        }
        let stats = db.records.stats().await.unwrap();
        let of = |state| stats.in_state(state);
        assert_eq!(
            (
                stats.admitted,
                of(UploadState::Rejected),
                of(UploadState::Failed),
                of(UploadState::Accepted),
                of(UploadState::Ready)
            ),
            (40, 10, 10, 10, 10)
        );
        assert_eq!((stats.dead_jobs, stats.queued_jobs), (10, 10));
    })
    .await;
}
