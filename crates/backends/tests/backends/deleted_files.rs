//! Deletion, restoration and purge of files, on SQLite and PostgreSQL.

use std::time::Duration;

use domain::{
    AccessGrant, Applink, Audience, ExpectedVersion, FileId, FileRole, PublicLink, Reason, ReasonCode, TargetConflict,
    UploadId, UploadState, UploadTarget,
};
use records::{Admitted, DeleteFileRefusal, FilesFilter, PurgeStep, RestoreFileRefusal, SettleResult, Usage};
use test_support::test_db::{MINUTE, TestDb, on_both_engines, user};

use crate::files::{file_admission, new_file, rendition_target, settle_ready};

const GRACE: Duration = Duration::from_secs(7 * 24 * 3600);

async fn delete(db: &TestDb, file: &FileId) {
    db.records.delete_file(file, "mary", GRACE, ExpectedVersion::Any).await.unwrap().unwrap();
}

async fn admit(db: &TestDb, target: UploadTarget) -> Result<Admitted, TargetConflict> {
    db.records.admit_into_file(file_admission(target)).await.unwrap()
}

/// Runs all steps of the purge of every file that is due, and returns the files and the uploads.
async fn purge(db: &TestDb) -> (Vec<FileId>, Vec<UploadId>) {
    let (files, mut uploads) = (db.records.lease_due_purges(10).await.unwrap(), Vec::new());
    for file in &files {
        while let PurgeStep::Version(discarded) = db.records.purge_file(file).await.unwrap() {
            uploads.extend(discarded.uploads);
        }
    }
    uploads.sort();
    (files, uploads)
}

fn applink(file: &FileId) -> Applink {
    let (id, file) = (uuid::Uuid::now_v7().to_string(), file.clone());
    Applink { id, file, audience: Audience::Everybody, role: FileRole::Viewer, created_by: "mary".to_owned() }
}

fn public_link(db: &TestDb, file: &FileId) -> PublicLink {
    PublicLink {
        id: uuid::Uuid::now_v7().to_string(),
        file: file.clone(),
        name: String::new(),
        audience: Audience::Everybody,
        role: FileRole::Viewer,
        password_hash: None,
        expires_at: None,
        expiration_time: None,
        created_by: "mary".to_owned(),
        created_at: db.clock.now(),
    }
}

#[tokio::test]
async fn a_deleted_file_is_found_by_nothing_until_it_is_restored() {
    on_both_engines(async |db| {
        let (file, version) = new_file(db).await;
        let small = admit(db, rendition_target(version, "small")).await.unwrap();
        assert_eq!(settle_ready(db, &small).await, SettleResult::Applied);
        let (app, public) = (applink(&file), public_link(db, &file));
        db.records.add_applink(&app).await.unwrap();
        db.records.add_public_link(&public).await.unwrap();
        db.records.share_file(&file, "paul", FileRole::Viewer).await.unwrap();
        db.records.upsert_user(&user("paul")).await.unwrap();
        let before = db.records.usage("mary").await.unwrap();
        let is_found = async || {
            let roles = [
                AccessGrant::User("mary".to_owned()),
                AccessGrant::User("paul".to_owned()),
                AccessGrant::Applink(app.id.clone()),
                AccessGrant::PublicLink(public.id.clone()),
            ];
            let mut found = vec![
                db.records.file(&file).await.unwrap().is_some(),
                db.records.applink(&app.id).await.unwrap().is_some(),
                db.records.public_link(&public.id).await.unwrap().is_some(),
            ];
            for grant in roles {
                found.push(db.records.file_role(&file, &grant).await.unwrap().is_some());
            }
            found
        };
        assert_eq!(is_found().await, [true; 7]);
        let until = db.records.delete_file(&file, "mary", GRACE, ExpectedVersion::Any).await.unwrap().unwrap();
        assert_eq!(until, db.clock.now() + GRACE);
        assert_eq!(is_found().await, [false; 7]);
        let again = db.records.delete_file(&file, "mary", GRACE, ExpectedVersion::Any).await.unwrap();
        assert_eq!(again, Err(DeleteFileRefusal::Unknown));
        assert_eq!(db.records.usage("mary").await.unwrap(), before, "the bytes are still stored");
        assert!(db.records.take_due_deletions(10).await.unwrap().is_empty());
        let listed = async |deleted| {
            let filter = FilesFilter { owner: Some("mary".to_owned()), deleted };
            db.records.list_files(&filter, None, 10).await.unwrap()
        };
        assert_eq!((listed(false).await.len(), listed(true).await.len()), (0, 1));
        let row = listed(true).await.remove(0);
        assert_eq!((row.deleted_by.as_deref(), row.restorable_until), (Some("mary"), Some(until)));

        db.clock.advance(GRACE - Duration::from_millis(1));
        assert_eq!(purge(db).await, (vec![], vec![]));
        for _ in 0..2 {
            db.records.restore_file(&file, "joe").await.unwrap().unwrap();
        }
        assert_eq!(is_found().await, [true; 7]);
        assert_eq!((listed(false).await.len(), listed(true).await.len()), (1, 0));
        assert!(db.records.rendition(version, "small").await.unwrap().is_some());
        let upload = db.records.file_version(&file, 1).await.unwrap().unwrap().upload.unwrap();
        let events = db.records.events(upload.id).await.unwrap();
        let last: Vec<_> = events[events.len() - 2..].iter().map(|event| event.detail.clone()).collect();
        let deleted = format!("with file {file} by mary; it can be restored until {until}");
        assert_eq!(last, [deleted, format!("with file {file} by joe")]);
        db.clock.advance(2 * GRACE);
        assert_eq!(purge(db).await, (vec![], vec![]), "a restored file is not purged");
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_not_restored_goes_with_all_its_bytes() {
    on_both_engines(async |db| {
        let (file, version) = new_file(db).await;
        let (other, _) = new_file(db).await;
        let first = db.records.file_version(&file, 1).await.unwrap().unwrap().upload.unwrap().id;
        let kept = db.records.file_version(&other, 1).await.unwrap().unwrap().upload.unwrap().id;
        let small = admit(db, rendition_target(version, "small")).await.unwrap();
        settle_ready(db, &small).await;
        // A rendition that failed keeps its staged bytes for a retry, and a version that waits keeps them for its job.
        let failed = admit(db, rendition_target(version, "failed")).await.unwrap();
        let attempt = db.begin_attempt(&failed.message).await;
        db.records.mark_dead(&attempt, &Reason::new("no", "no"), "no").await.unwrap();
        let second = admit(db, UploadTarget::NextVersion(file.clone())).await.unwrap();
        settle_ready(db, &second).await;
        let app = applink(&file);
        db.records.add_applink(&app).await.unwrap();
        delete(db, &file).await;
        db.clock.advance(GRACE);
        let late = db.records.restore_file(&file, "mary").await.unwrap();
        assert_eq!(late, Err(RestoreFileRefusal::TooLate), "before the sweep");

        // The first sweeper dies after one step. The lease ends, and the next one continues.
        assert_eq!(db.records.lease_due_purges(10).await.unwrap(), std::slice::from_ref(&file));
        let PurgeStep::Version(step) = db.records.purge_file(&file).await.unwrap() else { panic!("no version") };
        assert_eq!(step.uploads, [first, small.id, failed.id]);
        assert_eq!(step.staged_keys, std::slice::from_ref(&attempt.upload.staged_key));
        assert!(db.records.lease_due_purges(10).await.unwrap().is_empty(), "it is leased");
        assert_eq!(db.records.restore_file(&file, "mary").await.unwrap(), Err(RestoreFileRefusal::TooLate));
        db.clock.advance(10 * MINUTE);
        assert_eq!(purge(db).await, (vec![file.clone()], vec![second.id]));

        for id in [first, small.id, failed.id, second.id] {
            let upload = db.records.upload(id).await.unwrap().unwrap();
            assert_eq!((upload.state, upload.reason.unwrap().code), (UploadState::Expired, ReasonCode::Deleted));
            let last = db.records.events(id).await.unwrap().pop().unwrap();
            assert_eq!(last.detail, format!("with file {file} by mary"));
        }
        assert!(db.records.retry_job(failed.message.id, MINUTE).await.unwrap().is_none());
        assert_eq!(db.records.restore_file(&file, "mary").await.unwrap(), Err(RestoreFileRefusal::Unknown));
        assert!(db.records.file_versions(&file, None).await.unwrap().is_empty());
        assert!(db.records.applink(&app.id).await.unwrap().is_none());
        let kept_bytes = db.records.upload(kept).await.unwrap().unwrap().bytes;
        let usage = Usage { bytes: kept_bytes, ..Usage::default() };
        assert_eq!(db.records.usage("mary").await.unwrap(), usage);
        assert!(db.records.recount_usage().await.unwrap().is_empty());
        let mut due: Vec<_> =
            db.records.take_due_deletions(100).await.unwrap().into_iter().filter_map(|row| row.upload).collect();
        due.sort();
        due.dedup();
        assert_eq!(due, [first, small.id, failed.id, second.id]);
        // Another system may use the id for a file of its own.
        db.records.register_file(&file, "plan.docx", "mary", 1, None).await.unwrap().unwrap();
        assert_eq!(db.records.file(&file).await.unwrap().unwrap().name, "plan.docx");
    })
    .await;
}

#[tokio::test]
async fn uploads_into_a_deleted_file_are_refused_or_rejected() {
    on_both_engines(async |db| {
        let (file, version) = new_file(db).await;
        let small = admit(db, rendition_target(version, "small")).await.unwrap();
        let next = admit(db, UploadTarget::NextVersion(file.clone())).await.unwrap();
        delete(db, &file).await;
        for admitted in [&small, &next] {
            let SettleResult::Rejected(reason) = settle_ready(db, admitted).await else { panic!("it was settled") };
            assert_eq!(reason.code, ReasonCode::TargetGone);
        }
        for target in [rendition_target(version, "other"), UploadTarget::NextVersion(file.clone())] {
            assert_eq!(admit(db, target).await.unwrap_err(), TargetConflict::FileDeleted);
        }
        let registered = db.records.register_file(&file, "x", "mary", 9, None).await.unwrap();
        assert_eq!(registered, Err(TargetConflict::FileDeleted));
        db.records.restore_file(&file, "mary").await.unwrap().unwrap();
        // The names and numbers of the rejected uploads are free again.
        let small = admit(db, rendition_target(version, "small")).await.unwrap();
        assert_eq!(settle_ready(db, &small).await, SettleResult::Applied);
        // An upload that waits for a worker when its file is purged is cancelled.
        let waiting = admit(db, rendition_target(version, "waiting")).await.unwrap();
        db.records.delete_file(&file, "mary", Duration::ZERO, ExpectedVersion::Any).await.unwrap().unwrap();
        assert_eq!(db.records.lease_due_purges(10).await.unwrap(), std::slice::from_ref(&file));
        let PurgeStep::Version(step) = db.records.purge_file(&file).await.unwrap() else { panic!("no version") };
        assert_eq!(step.cancelled_jobs, [waiting.message.id]);
        assert!(step.uploads.contains(&waiting.id) && step.staged_keys.len() == 1);
    })
    .await;
}

#[tokio::test]
async fn a_file_is_deleted_in_the_version_that_is_expected() {
    on_both_engines(async |db| {
        let (file, _) = new_file(db).await;
        let delete = async |expected| db.records.delete_file(&file, "mary", GRACE, expected).await.unwrap();
        for expected in [ExpectedVersion::Exactly(2), ExpectedVersion::Outdated] {
            assert_eq!(delete(expected).await, Err(DeleteFileRefusal::VersionChanged));
        }
        let next = admit(db, UploadTarget::NextVersion(file.clone())).await.unwrap();
        let first = ExpectedVersion::Exactly(1);
        assert_eq!(delete(first).await, Err(DeleteFileRefusal::VersionChanged), "the second one is processed");
        settle_ready(db, &next).await;
        assert!(delete(ExpectedVersion::Exactly(2)).await.is_ok());
        let missing = db.records.delete_file(&FileId::generate(), "mary", GRACE, first).await.unwrap();
        assert_eq!(missing, Err(DeleteFileRefusal::Unknown));
    })
    .await;
}

/// A restoration and a sweeper whose clock is ahead meet at the end of the grace period: one of them has the file.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_restored_or_purged_and_never_both() {
    on_both_engines(async |db| {
        let ahead = domain::Clock::manual(db.clock.now() + GRACE);
        let sweeper = TestDb::reopen(&db.url, &ahead).await;
        for _ in 0..8 {
            let (file, _) = new_file(db).await;
            delete(db, &file).await;
            let (restored, leased) = tokio::join!(db.records.restore_file(&file, "mary"), sweeper.lease_due_purges(10));
            let (restored, leased) = (restored.unwrap().is_ok(), !leased.unwrap().is_empty());
            assert!(restored != leased, "restored: {restored}, leased: {leased}");
            assert_eq!(db.records.file(&file).await.unwrap().is_some(), restored);
        }
        sweeper.close().await.unwrap();
    })
    .await;
}
