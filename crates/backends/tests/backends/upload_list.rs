//! Lists of uploads by owner and state, in pages, on SQLite and PostgreSQL.

use domain::{Reason, UploadId, UploadKind, UploadState};
use records::UploadFilter;
use test_support::test_db::{MINUTE, TestDb, admission, file_admission, on_both_engines};

async fn list(db: &TestDb, owner: Option<&str>, state: Option<UploadState>, limit: u64) -> Vec<UploadId> {
    let filter = UploadFilter { owner: owner.map(ToOwned::to_owned), state, ..UploadFilter::default() };
    list_all(db, &filter, limit).await
}

async fn list_all(db: &TestDb, filter: &UploadFilter, limit: u64) -> Vec<UploadId> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = db.records.list_uploads(filter, before, limit).await.unwrap();
        assert!(page.len() as u64 <= limit);
        let Some(last) = page.last() else { return all };
        before = Some(last.id);
        all.extend(page.iter().map(|upload| upload.id));
    }
}

#[tokio::test]
async fn pages_together_are_every_upload_once_with_the_newest_first() {
    on_both_engines(async |db| {
        let mut of_mary = Vec::new();
        let mut rejected = Vec::new();
        for n in 0..7 {
            let admitted = db.admit().await;
            of_mary.insert(0, admitted.id);
            if n % 3 == 0 {
                let attempt = db.begin_attempt(&admitted.message).await;
                db.records.settle_rejected(&attempt, &Reason::new("no", "no")).await.unwrap();
                rejected.insert(0, admitted.id);
            }
        }
        db.records.upsert_user(&test_support::test_db::user("joe")).await.unwrap();
        let of_joe = db.records.admit(admission("joe")).await.unwrap().id;
        for limit in [1, 2, 3, 100] {
            assert_eq!(list(db, Some("mary"), None, limit).await, of_mary);
            assert_eq!(list(db, Some("mary"), Some(UploadState::Rejected), limit).await, rejected);
            assert_eq!(list(db, None, Some(UploadState::Rejected), limit).await, rejected);
            assert_eq!(list(db, None, None, limit).await, [&[of_joe][..], &of_mary].concat());
            assert_eq!(list(db, Some("joe"), None, limit).await, [of_joe]);
            assert!(list(db, Some("joe"), Some(UploadState::Ready), limit).await.is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn a_list_has_the_uploads_of_a_kind_and_of_a_time() {
    on_both_engines(async |db| {
        let begun = db.clock.now();
        let mut pictures = Vec::new();
        let mut files = Vec::new();
        for _ in 0..4 {
            pictures.insert(0, db.admit().await.id);
            files.insert(0, db.records.admit_into_file(file_admission()).await.unwrap().unwrap().id);
            db.clock.advance(MINUTE);
        }
        let everything = UploadFilter::default();
        for limit in [1, 3, 100] {
            let of_kind = |kind| UploadFilter { kind: Some(kind), ..everything.clone() };
            assert_eq!(list_all(db, &of_kind(UploadKind::Dropbox), limit).await, pictures);
            assert_eq!(list_all(db, &of_kind(UploadKind::File), limit).await, files);
            assert!(list_all(db, &of_kind(UploadKind::Rendition), limit).await.is_empty());
            // The first time is included and the last one is not.
            let (from, before) = (Some(begun + MINUTE), Some(begun + 3 * MINUTE));
            let between = UploadFilter { created_from: from, created_before: before, ..of_kind(UploadKind::Dropbox) };
            assert_eq!(list_all(db, &between, limit).await, pictures[1..3]);
            let theirs = UploadFilter { owner: Some("mary".to_owned()), ..between.clone() };
            assert_eq!(list_all(db, &theirs, limit).await, pictures[1..3]);
            let others = UploadFilter { owner: Some("joe".to_owned()), ..between };
            assert!(list_all(db, &others, limit).await.is_empty());
            let nanosecond = begun + MINUTE + std::time::Duration::from_nanos(1);
            let after = UploadFilter { created_from: Some(nanosecond), ..of_kind(UploadKind::Dropbox) };
            assert_eq!(list_all(db, &after, limit).await, pictures[..2]);
        }
    })
    .await;
}
