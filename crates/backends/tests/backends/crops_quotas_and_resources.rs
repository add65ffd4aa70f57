//! Records that the api needs besides uploads, on SQLite and PostgreSQL: crops, quotas, registered resources, signing
//! keys that retire.

use std::time::Duration;

use domain::{Crop, CropFit, CropPart, CropSpace, ExpectedVersion, Resource, Rotation, Service};
use records::{Claimant, CropRefusal, SigningKey};
use test_support::test_db::{MINUTE, RETENTION, admission, on_both_engines, user};

fn mary() -> Claimant {
    Claimant { user: "mary".to_owned(), admin: false }
}

#[tokio::test]
async fn a_crop_begins_a_generation_and_the_same_one_does_not() {
    on_both_engines(async |db| {
        let part = Some(CropPart { space: CropSpace::Square, x: 1, y: 2, w: 3, h: 4 });
        let crop = Crop { part, ..Crop::default() };
        let waiting = db.admit().await;
        assert_eq!(
            db.records.crop(waiting.id, crop, &mary(), ExpectedVersion::Any).await.unwrap(),
            Err(CropRefusal::Unknown)
        );
        let ready = db.admit_and_settle().await;
        let picture = part.map(|part| CropPart { space: CropSpace::Picture, ..part });
        for (crop, generation) in [
            (Crop::default(), 0),
            (crop, 1),
            (crop, 1),
            (Crop { part: picture, ..crop }, 2),
            (Crop { rotate: Rotation::Deg180, ..crop }, 3),
            (Crop { fit: CropFit::Contain, ..crop }, 4),
            (Crop { fit: CropFit::Contain, ..crop }, 4),
            (Crop::default(), 5),
        ] {
            assert_eq!(db.records.crop(ready.id, crop, &mary(), ExpectedVersion::Any).await.unwrap(), Ok(generation));
            assert_eq!(db.records.upload(ready.id).await.unwrap().unwrap().crop, crop);
        }
        let paul = Claimant { user: "paul".to_owned(), admin: false };
        assert_eq!(
            db.records.crop(ready.id, crop, &paul, ExpectedVersion::Any).await.unwrap(),
            Err(CropRefusal::Unknown)
        );
        let resource = Resource { service: Service::Users, id: "mary".to_owned() };
        db.records.claim(ready.id, &resource, &mary(), None, ExpectedVersion::Any).await.unwrap().unwrap();
        assert_eq!(
            db.records.crop(ready.id, crop, &mary(), ExpectedVersion::Any).await.unwrap(),
            Err(CropRefusal::Unknown)
        );
    })
    .await;
}

#[tokio::test]
async fn the_quota_counts_what_waits_to_be_claimed() {
    on_both_engines(async |db| {
        assert_eq!(db.records.unclaimed("mary").await.unwrap(), records::UnclaimedUsage::default());
        let first = db.admit_and_settle().await;
        db.clock.advance(MINUTE);
        db.admit().await;
        let bytes = admission("mary").staged.bytes;
        let held = db.records.unclaimed("mary").await.unwrap();
        assert_eq!((held.pictures, held.bytes), (2, 2 * bytes));
        assert_eq!(held.next_expiry, db.records.upload(first.id).await.unwrap().unwrap().expires_at);
        assert_eq!(db.records.unclaimed("paul").await.unwrap().pictures, 0);
        db.clock.advance(RETENTION - MINUTE);
        assert_eq!(db.records.unclaimed("mary").await.unwrap().pictures, 1);
    })
    .await;
}

#[tokio::test]
async fn a_resource_is_registered_with_its_name_and_its_users() {
    on_both_engines(async |db| {
        let app = Resource { service: Service::Apps, id: "travel".to_owned() };
        let users = ["paul", "mary", "paul"].map(str::to_owned);
        db.records.register_resource(&app, Some("Travel"), Some(&users)).await.unwrap();
        assert_eq!(db.records.resource_grants(&app).await.unwrap(), ["mary", "paul"]);
        db.records.register_resource(&app, Some("Travels"), None).await.unwrap();
        db.records.revoke_resource_grant(&app, "paul").await.unwrap();
        db.records.revoke_resource_grant(&app, "paul").await.unwrap();
        assert_eq!(db.records.resource_grants(&app).await.unwrap(), ["mary"]);
        db.records.name_resource(&app, "Travelling", ExpectedVersion::Any).await.unwrap().unwrap();
        assert_eq!(db.records.resource_name(&app).await.unwrap().as_deref(), Some("Travelling"));
        db.records.register_resource(&app, None, Some(&[])).await.unwrap();
        assert!(db.records.resource_grants(&app).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn keys_grow_old_and_are_deleted() {
    on_both_engines(async |db| {
        assert_eq!(db.records.newest_signing_key_age().await.unwrap(), None);
        for id in ["old", "new"] {
            let key = SigningKey { id: id.to_owned(), secret: "00".repeat(32) };
            db.records.add_signing_key(&key).await.unwrap();
            db.clock.advance(MINUTE);
        }
        assert_eq!(db.records.newest_signing_key_age().await.unwrap(), Some(MINUTE));
        db.clock.advance(MINUTE);
        assert_eq!(db.records.delete_old_signing_keys(Duration::from_secs(90)).await.unwrap(), 1);
        let left: Vec<_> = db.records.signing_keys().await.unwrap().into_iter().map(|key| key.id).collect();
        assert_eq!(left, ["new"]);
        db.records.upsert_user(&user("adam")).await.unwrap();
        let people: Vec<_> = db.records.users().await.unwrap().into_iter().map(|user| user.id).collect();
        assert_eq!(people, ["adam", "mary"]);
    })
    .await;
}
