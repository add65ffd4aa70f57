//! Writes that expect a version, on SQLite and PostgreSQL: of many that expect the same version, one is made.

use domain::{
    Crop, CropPart, CropSpace, ExpectedVersion, Resource, Service, TargetConflict, UploadId, UploadState, UploadTarget,
    VersionChanged,
};
use futures::future::join_all;
use records::{Admitted, ClaimRefusal, Claimant, CropRefusal, FileAdmission};
use test_support::test_db::{TestDb, on_both_engines};

use crate::files::{file_admission, new_file, rendition_target, settle_ready};

/// How many writers expect the same version at the same time.
const WRITERS: u32 = 16;

fn mary() -> Claimant {
    Claimant { user: "mary".to_owned(), admin: false }
}

fn choir() -> Resource {
    Resource { service: Service::Groups, id: "choir".to_owned() }
}

fn crop(side: u32) -> Crop {
    Crop { part: Some(CropPart { space: CropSpace::Square, x: 0, y: 0, w: side, h: side }), ..Crop::default() }
}

/// Asserts that one write was made and that all others were refused for this reason.
fn assert_one_made<T, E: PartialEq + std::fmt::Debug>(results: Vec<Result<T, E>>, refusal: &E) {
    let (made, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    for refused in refused {
        assert_eq!(refused.err().as_ref(), Some(refusal));
    }
}

async fn claim(db: &TestDb, id: UploadId, expected: ExpectedVersion<Option<i64>>) -> Result<(), ClaimRefusal> {
    db.records.claim(id, &choir(), &mary(), None, expected).await.unwrap()
}

async fn shown(db: &TestDb) -> Option<i64> {
    db.records.avatar(&choir()).await.unwrap().map(|(version, _)| version)
}

/// Admits uploads of Mary's, the last of which is still being processed.
async fn pictures(db: &TestDb) -> Vec<UploadId> {
    let mut pictures = Vec::new();
    for _ in 1..WRITERS {
        pictures.push(db.admit_and_settle().await.id);
    }
    pictures.push(db.admit().await.id);
    pictures
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_claims_that_expect_one_avatar_is_made() {
    on_both_engines(async |db| {
        for _ in 0..4 {
            let expected = ExpectedVersion::Exactly(shown(db).await);
            let claims = pictures(db).await.into_iter().map(|id| claim(db, id, expected));
            assert_one_made(join_all(claims).await, &ClaimRefusal::VersionChanged);
            // Whichever was claimed is the latest avatar, although the one that is being processed is not shown.
            let removed = db.records.remove_avatar(&choir(), "mary", expected).await.unwrap();
            assert_eq!(removed.map(drop), Err(VersionChanged));
            db.records.remove_avatar(&choir(), "mary", ExpectedVersion::Any).await.unwrap().unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_without_a_condition_is_seen_by_those_that_have_one() {
    on_both_engines(async |db| {
        for _ in 0..4 {
            let expected = ExpectedVersion::Exactly(shown(db).await);
            let (first, second) = (db.admit_and_settle().await.id, db.admit_and_settle().await.id);
            let (always, conditional) =
                tokio::join!(claim(db, first, ExpectedVersion::Any), claim(db, second, expected));
            assert_eq!(always, Ok(()));
            let (_, upload) = db.records.avatar(&choir()).await.unwrap().unwrap();
            // If the conditional claim was made, it was made first, so that it replaced nothing that it did not expect.
            assert_eq!(upload.id, first, "{conditional:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_removals_and_claims_that_expect_one_avatar_is_made() {
    on_both_engines(async |db| {
        let (first, second) = (db.admit_and_settle().await.id, db.admit_and_settle().await.id);
        claim(db, first, ExpectedVersion::Any).await.unwrap();
        let (choir, expected) = (choir(), ExpectedVersion::Exactly(shown(db).await));
        let (removed, claimed) =
            tokio::join!(db.records.remove_avatar(&choir, "mary", expected), claim(db, second, expected));
        assert_one_made(
            vec![
                removed.unwrap().map(drop),
                claimed.map_err(|refusal| {
                    assert_eq!(refusal, ClaimRefusal::VersionChanged);
                    VersionChanged
                }),
            ],
            &VersionChanged,
        );
    })
    .await;
}

#[tokio::test]
async fn a_claim_that_was_made_before_succeeds_again_for_any_version() {
    on_both_engines(async |db| {
        let id = db.admit_and_settle().await.id;
        let named = async |name, expected| db.records.claim(id, &choir(), &mary(), Some(name), expected).await.unwrap();
        let none = ExpectedVersion::Exactly(None);
        for expected in [none, none, ExpectedVersion::Outdated] {
            assert_eq!(named("Choir", expected).await, Ok(()));
        }
        // Another name would be a change.
        assert_eq!(named("Band", none).await, Err(ClaimRefusal::VersionChanged));
        assert_eq!(db.records.resource_name(&choir()).await.unwrap().unwrap(), "Choir");
        let current = ExpectedVersion::Exactly(shown(db).await);
        assert_eq!(named("Band", current).await, Ok(()));
        let rename = async |name, expected| db.records.name_resource(&choir(), name, expected).await.unwrap();
        assert_eq!(rename("Band", none).await, Ok(()));
        assert_eq!(rename("Orchestra", none).await, Err(VersionChanged));
        assert_eq!(rename("Orchestra", current).await, Ok(()));
        // A removal that was made before, too.
        for _ in 0..2 {
            assert!(db.records.remove_avatar(&choir(), "mary", current).await.unwrap().is_ok());
        }
    })
    .await;
}

#[tokio::test]
async fn a_refused_claim_changes_nothing() {
    on_both_engines(async |db| {
        let id = db.admit_and_settle().await.id;
        let refused = db.records.claim(id, &choir(), &mary(), Some("Choir"), ExpectedVersion::Outdated).await.unwrap();
        assert_eq!(refused, Err(ClaimRefusal::VersionChanged));
        assert_eq!(db.records.upload(id).await.unwrap().unwrap().claim, None);
        assert_eq!(db.records.resource_name(&choir()).await.unwrap(), None);
        assert_eq!(shown(db).await, None);
        // The reasons that hold without a condition come first (RFC 9110, 13.2.1).
        let nowhere = UploadId::try_from(77).unwrap();
        assert_eq!(claim(db, nowhere, ExpectedVersion::Outdated).await, Err(ClaimRefusal::Unknown));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_crops_that_expect_one_generation_is_made() {
    on_both_engines(async |db| {
        let id = db.admit_and_settle().await.id;
        for generation in 0..4 {
            let expected = ExpectedVersion::Exactly(generation);
            let crops = (1..=WRITERS)
                .map(async |n| db.records.crop(id, crop(n + generation * WRITERS), &mary(), expected).await.unwrap());
            assert_one_made(join_all(crops).await, &CropRefusal::VersionChanged);
        }
        let upload = db.records.upload(id).await.unwrap().unwrap();
        assert_eq!(upload.generation, 4);
        // The same crop again changes nothing.
        let again = db.records.crop(id, upload.crop, &mary(), ExpectedVersion::Outdated).await.unwrap();
        assert_eq!(again, Ok(4));
    })
    .await;
}

async fn admit(db: &TestDb, target: UploadTarget, latest: u32) -> Result<Admitted, TargetConflict> {
    let admission = FileAdmission { expected: ExpectedVersion::Exactly(latest), ..file_admission(target) };
    db.records.admit_into_file(admission).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_versions_that_expect_one_version_is_admitted() {
    on_both_engines(async |db| {
        let (file, first) = new_file(db).await;
        let next = || UploadTarget::NextVersion(file.clone());
        let mut admitted = join_all((0..WRITERS).map(|_| admit(db, next(), 1))).await;
        let winner = admitted.iter().position(Result::is_ok).map(|at| admitted.swap_remove(at).unwrap()).unwrap();
        assert_eq!(admitted.len(), 15);
        assert!(admitted.iter().all(|other| matches!(other, Err(TargetConflict::VersionChanged))), "{admitted:?}");
        // A rendition of the version that is still the latest is no conflict with the version being processed.
        admit(db, rendition_target(first, "small"), 1).await.unwrap();
        // A version that fails is no longer in the way.
        let attempt = db.begin_attempt(&winner.message).await;
        db.records.settle_rejected(&attempt, &domain::Reason::new("too_small", "x")).await.unwrap();
        let next_winner = admit(db, next(), 1).await.unwrap();
        settle_ready(db, &next_winner).await;
        assert_eq!(db.records.file(&file).await.unwrap().unwrap().latest_version, 3);
        assert_eq!(admit(db, next(), 1).await.err(), Some(TargetConflict::VersionChanged));
        let late = admit(db, rendition_target(first, "large"), 1).await;
        assert_eq!(late.err(), Some(TargetConflict::VersionChanged), "another version is the latest");
        let state = db.records.upload(winner.id).await.unwrap().unwrap().state;
        assert_eq!(state, UploadState::Rejected);
        admit(db, next(), 3).await.unwrap();
    })
    .await;
}
