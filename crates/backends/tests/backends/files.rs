//! Files, renditions and their names in the records, on SQLite and PostgreSQL.

use std::time::Duration;

use domain::{
    AccessGrant, ExpectedVersion, FileId, FileRole, IdempotencyKey, IdempotencyKeyLock, IdempotencyLockResult, Media,
    Reason, RenditionName, RenditionNameRules, Staged, TargetConflict, UploadState, UploadTarget,
};
use futures::future::join_all;
use records::{Admitted, FileAdmission, ProcessedUpload, RecordsError, SettleResult};
use test_support::test_db::{DEADLINE, MINUTE, TestDb, on_both_engines, user};

pub(crate) fn file_admission(place: UploadTarget) -> FileAdmission {
    let key = format!("incoming/{}", uuid::Uuid::now_v7().simple());
    FileAdmission {
        owner: "mary".to_owned(),
        grant: AccessGrant::User("mary".to_owned()),
        target: place,
        filename: "cat.txt".to_owned(),
        media: Media::Other,
        staged: Staged { key, bytes: 12, sha256: "ab".repeat(32), media: None, render_estimate: Duration::ZERO },
        deadline: DEADLINE,
        idempotency_key: None,
        expected: ExpectedVersion::Any,
    }
}

pub(crate) async fn settle_ready(db: &TestDb, admitted: &Admitted) -> SettleResult {
    let attempt = db.begin_attempt(&admitted.message).await;
    let made =
        ProcessedUpload { picture: None, original_key: format!("{}original", attempt.prefix), variants: Vec::new() };
    db.records.settle_ready(&attempt, made).await.unwrap()
}

/// Creates a file of Mary's with one version, and returns the file and the row of that version.
pub(crate) async fn new_file(db: &TestDb) -> (FileId, i64) {
    let id = FileId::generate();
    let admitted =
        db.records.admit_into_file(file_admission(UploadTarget::NewFile(id.clone()))).await.unwrap().unwrap();
    assert!(db.records.file(&id).await.unwrap().is_none(), "the file does not exist before it is ready");
    assert_eq!(settle_ready(db, &admitted).await, SettleResult::Applied);
    let version = db.records.file_version(&id, 1).await.unwrap().unwrap();
    (id, version.id)
}

pub(crate) fn rendition_target(version: i64, name: &str) -> UploadTarget {
    let name = RenditionName::parse(name, RenditionNameRules::V1_1).unwrap();
    UploadTarget::Rendition { version, name, description: String::new(), max_renditions: 100 }
}

#[tokio::test]
async fn one_of_two_hundred_gets_the_name() {
    on_both_engines(async |db| {
        let (_, version) = new_file(db).await;
        let other = TestDb::reopen(&db.url, &db.clock).await;
        let tries = (0..200).map(|n| {
            let records = if n % 2 == 0 { &db.records } else { &other };
            records.admit_into_file(file_admission(rendition_target(
                version,
                if n % 3 == 0 { "straße" } else { "STRASSE" },
            )))
        });
        let answers = join_all(tries).await;
        let won = answers.iter().filter(|answer| matches!(answer, Ok(Ok(_)))).count();
        let lost = answers.iter().filter(|answer| matches!(answer, Ok(Err(TargetConflict::NameTaken)))).count();
        assert_eq!((won, lost), (1, 199));
        other.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_does_not_become_ready_gives_its_name_back() {
    on_both_engines(async |db| {
        let (_, version) = new_file(db).await;
        let admit =
            async || db.records.admit_into_file(file_admission(rendition_target(version, "small"))).await.unwrap();
        let rejected = admit().await.unwrap();
        assert_eq!(admit().await.unwrap_err(), TargetConflict::NameTaken);
        let attempt = db.begin_attempt(&rejected.message).await;
        db.records.settle_rejected(&attempt, &Reason::new("no", "no")).await.unwrap();
        let dead = admit().await.unwrap();
        let attempt = db.begin_attempt(&dead.message).await;
        db.records.mark_dead(&attempt, &Reason::new("no", "no"), "no").await.unwrap();
        let overdue = admit().await.unwrap();
        db.clock.advance(DEADLINE);
        assert_eq!(db.records.fail_overdue(10).await.unwrap().len(), 1);
        let ready = admit().await.unwrap();
        assert_eq!(settle_ready(db, &ready).await, SettleResult::Applied);
        assert!(
            db.records.retry_job(overdue.message.id, MINUTE).await.unwrap().is_none(),
            "another upload has its name"
        );
        let kept = db.records.rendition(version, "SMALL").await.unwrap().unwrap();
        assert_eq!((kept.upload.id, kept.extension.as_str()), (ready.id, "txt"));
        assert!(db.records.delete_rendition(&kept, "mary").await.unwrap());
        assert!(!db.records.delete_rendition(&kept, "mary").await.unwrap());
        let retried = db.records.retry_job(dead.message.id, MINUTE).await.unwrap().unwrap();
        assert_eq!(
            admit().await.unwrap_err(),
            TargetConflict::NameTaken,
            "an upload that is retried has its name again"
        );
        assert_eq!(retried.message.job, dead.message.job);
        let stats = db.records.stats().await.unwrap();
        assert_eq!((stats.unaccounted(), stats.in_state(UploadState::Expired)), (0, 1));
    })
    .await;
}

/// The number of a version that failed is free again, for the system that owns the file as for any other caller.
#[tokio::test]
async fn a_version_of_another_system_replaces_one_that_was_released() {
    on_both_engines(async |db| {
        let plan = FileId::generate();
        let register =
            async |name: &str, version| db.records.register_file(&plan, name, "mary", version, None).await.unwrap();
        assert!(register("plan.docx", 1).await.is_ok());
        let next = UploadTarget::NextVersion(plan.clone());
        let pending = db.records.admit_into_file(file_admission(next)).await.unwrap().unwrap();
        assert!(register("plan.docx", 2).await.is_err(), "this version is being uploaded here");
        db.clock.advance(DEADLINE);
        assert_eq!(db.records.fail_overdue(10).await.unwrap().len(), 1);
        assert!(register("newer.docx", 2).await.is_ok());
        let latest = async || {
            let file = db.records.file(&plan).await.unwrap().unwrap();
            let version =
                db.records.file_version(&plan, file.latest_version).await.unwrap().expect("the latest can be seen");
            (version.number, version.name)
        };
        assert_eq!(latest().await, (2, "newer.docx".to_owned()));
        assert!(
            db.records.retry_job(pending.message.id, MINUTE).await.unwrap().is_none(),
            "the other system has this version now"
        );
        assert!(register("newest.docx", 2).await.is_ok());
        assert_eq!(latest().await, (2, "newest.docx".to_owned()));
        assert!(register("sixth.docx", 6).await.is_ok());
        assert!(register("late.docx", 5).await.is_ok());
        let numbers: Vec<u32> =
            db.records.file_versions(&plan, None).await.unwrap().iter().map(|one| one.number).collect();
        assert_eq!(numbers, [1, 2, 6], "a number below the latest adds no version");
    })
    .await;
}

#[tokio::test]
async fn a_grant_is_checked_again_when_the_upload_is_settled() {
    on_both_engines(async |db| {
        let (id, version) = new_file(db).await;
        db.records.upsert_user(&user("paul")).await.unwrap();
        db.records.share_file(&id, "paul", FileRole::Contributor).await.unwrap();
        let by_paul = FileAdmission {
            owner: "paul".to_owned(),
            grant: AccessGrant::User("paul".to_owned()),
            ..file_admission(rendition_target(version, "small"))
        };
        let admitted = db.records.admit_into_file(by_paul).await.unwrap().unwrap();
        db.records.share_file(&id, "paul", FileRole::Viewer).await.unwrap();
        match settle_ready(db, &admitted).await {
            SettleResult::Rejected(reason) => assert_eq!(reason.code.as_str(), "not_permitted"),
            other => panic!("{other:?}"),
        }
        assert!(db.records.renditions(version).await.unwrap().is_empty());
        db.records.admit_into_file(file_admission(rendition_target(version, "small"))).await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_later_version_may_be_ready_first() {
    on_both_engines(async |db| {
        let (id, _) = new_file(db).await;
        let next = async || {
            db.records.admit_into_file(file_admission(UploadTarget::NextVersion(id.clone()))).await.unwrap().unwrap()
        };
        let (second, third) = (next().await, next().await);
        assert_eq!(settle_ready(db, &third).await, SettleResult::Applied);
        assert_eq!(db.records.file(&id).await.unwrap().unwrap().latest_version, 3);
        assert_eq!(settle_ready(db, &second).await, SettleResult::Applied);
        assert_eq!(db.records.file(&id).await.unwrap().unwrap().latest_version, 3);
        let numbers: Vec<u32> =
            db.records.file_versions(&id, None).await.unwrap().into_iter().map(|version| version.number).collect();
        assert_eq!(numbers, [1, 2, 3]);
    })
    .await;
}

#[tokio::test]
async fn a_version_is_full_at_its_limit() {
    on_both_engines(async |db| {
        let (_, version) = new_file(db).await;
        let tries = (0..8).map(|n| {
            let name = RenditionName::parse(&format!("n{n}"), RenditionNameRules::V1_2).unwrap();
            let place = UploadTarget::Rendition { version, name, description: String::new(), max_renditions: 5 };
            db.records.admit_into_file(file_admission(place))
        });
        let answers = join_all(tries).await;
        assert_eq!(answers.iter().filter(|answer| matches!(answer, Ok(Ok(_)))).count(), 5);
        assert_eq!(
            answers.iter().filter(|answer| matches!(answer, Ok(Err(TargetConflict::TooManyRenditions)))).count(),
            3
        );
    })
    .await;
}

#[tokio::test]
async fn a_key_is_locked_by_one_request_and_keeps_its_response() {
    on_both_engines(async |db| {
        let hold = async || db.records.lock_idempotency_key("mary", "k", MINUTE).await.unwrap();
        let first = acquired(hold().await);
        assert!(matches!(hold().await, IdempotencyLockResult::InFlight { .. }));
        db.records.release_idempotency_key(&first).await.unwrap();
        let given_up = acquired(hold().await);
        db.clock.advance(MINUTE);
        let held = acquired(hold().await);
        assert_ne!(held, given_up);
        let idempotency_key = IdempotencyKey { lock: held.clone(), fingerprint: "f".to_owned() };
        let (_, version) = new_file(db).await;
        let keyed = FileAdmission {
            idempotency_key: Some(idempotency_key.clone()),
            ..file_admission(rendition_target(version, "small"))
        };
        let admitted = db.records.admit_into_file(keyed).await.unwrap().unwrap();
        db.records.release_idempotency_key(&held).await.unwrap();
        let known = IdempotencyLockResult::Admitted { fingerprint: "f".to_owned(), upload: admitted.id };
        assert_eq!(hold().await, known);
        db.records.store_idempotent_response(&idempotency_key, "answer").await.unwrap();
        let known = IdempotencyLockResult::Completed { fingerprint: "f".to_owned(), response: "answer".to_owned() };
        assert_eq!(hold().await, known);
        acquired(db.records.lock_idempotency_key("paul", "k", MINUTE).await.unwrap());
        db.clock.advance(Duration::from_secs(24 * 3600));
        assert_eq!(db.records.delete_expired_idempotency_keys(1).await.unwrap(), 1);
        assert_eq!(db.records.delete_expired_idempotency_keys(10).await.unwrap(), 1);
        acquired(hold().await);
    })
    .await;
}

#[tokio::test]
async fn a_lock_is_renewed_by_its_holder_and_by_no_earlier_one() {
    on_both_engines(async |db| {
        let hold = async || db.records.lock_idempotency_key("mary", "k", MINUTE).await.unwrap();
        let lost = acquired(hold().await);
        db.clock.advance(MINUTE / 2);
        assert!(db.records.renew_idempotency_key(&lost, MINUTE).await.unwrap());
        db.clock.advance(MINUTE / 2);
        assert!(matches!(hold().await, IdempotencyLockResult::InFlight { .. }), "it was renewed");
        db.clock.advance(MINUTE / 2);
        let held = acquired(hold().await);
        assert!(!db.records.renew_idempotency_key(&lost, 2 * MINUTE).await.unwrap());
        db.records.release_idempotency_key(&lost).await.unwrap();
        let late = IdempotencyKey { lock: lost, fingerprint: "f".to_owned() };
        db.records.store_idempotent_response(&late, "late").await.unwrap();
        assert!(matches!(hold().await, IdempotencyLockResult::InFlight { .. }), "the earlier holder changes nothing");
        let (_, version) = new_file(db).await;
        let keyed = FileAdmission { idempotency_key: Some(late), ..file_admission(rendition_target(version, "small")) };
        let refused = db.records.admit_into_file(keyed).await.unwrap_err();
        assert!(matches!(refused, RecordsError::KeyLost), "{refused}");
        let idempotency_key = IdempotencyKey { lock: held, fingerprint: "f".to_owned() };
        let keyed = FileAdmission {
            idempotency_key: Some(idempotency_key),
            ..file_admission(rendition_target(version, "small"))
        };
        db.records.admit_into_file(keyed).await.unwrap().unwrap();
    })
    .await;
}

fn acquired(held: IdempotencyLockResult) -> IdempotencyKeyLock {
    match held {
        IdempotencyLockResult::Acquired(hold) => hold,
        other => panic!("the key is not free: {other:?}"),
    }
}
