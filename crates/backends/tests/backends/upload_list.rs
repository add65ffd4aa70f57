//! Lists of uploads by owner and state, in pages, on SQLite and PostgreSQL.

use domain::{Reason, UploadId, UploadState};
use records::UploadFilter;
use test_support::test_db::{TestDb, admission, on_both_engines};

async fn list(db: &TestDb, owner: Option<&str>, state: Option<UploadState>, limit: u64) -> Vec<UploadId> {
    let filter = UploadFilter { owner: owner.map(ToOwned::to_owned), state };
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = db.records.list_uploads(&filter, before, limit).await.unwrap();
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
