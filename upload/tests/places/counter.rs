//! What the counter asks of the records: crops, shares, registered resources, keys that retire; on SQLite and PostgreSQL
//! alike.

use std::time::Duration;

use upload::{Claimant, Crop, CropRefused, Resource, Service, SigningKey};

use crate::home::{KEEP, MINUTE, admission, on_both, user};

fn mary() -> Claimant {
    Claimant { user: "mary".to_owned(), admin: false }
}

#[tokio::test]
async fn a_crop_begins_a_generation_and_the_same_one_does_not() {
    on_both(async |home| {
        let crop = Some(Crop { x: 1, y: 2, w: 3, h: 4 });
        let waiting = home.admit().await;
        assert_eq!(home.records.crop(waiting.id, crop, &mary()).await.unwrap(), Err(CropRefused::Unknown));
        let ready = home.ready().await;
        for (crop, generation) in [(None, 0), (crop, 1), (crop, 1), (None, 2)] {
            assert_eq!(home.records.crop(ready.id, crop, &mary()).await.unwrap(), Ok(generation));
            assert_eq!(home.records.upload(ready.id).await.unwrap().unwrap().crop, crop);
        }
        let paul = Claimant { user: "paul".to_owned(), admin: false };
        assert_eq!(home.records.crop(ready.id, crop, &paul).await.unwrap(), Err(CropRefused::Unknown));
        let resource = Resource { service: Service::Users, id: "mary".to_owned() };
        home.records.claim(ready.id, &resource, &mary()).await.unwrap().unwrap();
        assert_eq!(home.records.crop(ready.id, crop, &mary()).await.unwrap(), Err(CropRefused::Unknown));
    })
    .await;
}

#[tokio::test]
async fn a_share_is_what_waits_to_be_claimed() {
    on_both(async |home| {
        assert_eq!(home.records.unclaimed("mary").await.unwrap(), upload::Unclaimed::default());
        let first = home.ready().await;
        home.clock.advance(MINUTE);
        home.admit().await;
        let bytes = admission("mary").staged.bytes;
        let held = home.records.unclaimed("mary").await.unwrap();
        assert_eq!((held.pictures, held.bytes), (2, 2 * bytes));
        assert_eq!(held.soonest, home.records.upload(first.id).await.unwrap().unwrap().expires_at);
        assert_eq!(home.records.unclaimed("paul").await.unwrap().pictures, 0);
        home.clock.advance(KEEP - MINUTE);
        assert_eq!(home.records.unclaimed("mary").await.unwrap().pictures, 1);
    })
    .await;
}

#[tokio::test]
async fn a_resource_is_registered_with_its_name_and_its_users() {
    on_both(async |home| {
        let app = Resource { service: Service::Apps, id: "travel".to_owned() };
        let users = ["paul", "mary", "paul"].map(str::to_owned);
        home.records.register(&app, Some("Travel"), Some(&users)).await.unwrap();
        assert_eq!(home.records.granted(&app).await.unwrap(), ["mary", "paul"]);
        home.records.register(&app, Some("Travels"), None).await.unwrap();
        home.records.revoke(&app, "paul").await.unwrap();
        home.records.revoke(&app, "paul").await.unwrap();
        assert_eq!(home.records.granted(&app).await.unwrap(), ["mary"]);
        home.records.name_resource(&app, "Travelling").await.unwrap();
        assert_eq!(home.records.resource_name(&app).await.unwrap().as_deref(), Some("Travelling"));
        home.records.register(&app, None, Some(&[])).await.unwrap();
        assert!(home.records.granted(&app).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn keys_grow_old_and_are_deleted() {
    on_both(async |home| {
        assert_eq!(home.records.newest_signing_key_age().await.unwrap(), None);
        for id in ["old", "new"] {
            let key = SigningKey { id: id.to_owned(), secret: "00".repeat(32) };
            home.records.add_signing_key(&key).await.unwrap();
            home.clock.advance(MINUTE);
        }
        assert_eq!(home.records.newest_signing_key_age().await.unwrap(), Some(MINUTE));
        home.clock.advance(MINUTE);
        assert_eq!(home.records.delete_old_signing_keys(Duration::from_secs(90)).await.unwrap(), 1);
        let left: Vec<_> = home.records.signing_keys().await.unwrap().into_iter().map(|key| key.id).collect();
        assert_eq!(left, ["new"]);
        home.records.put_user(&user("adam")).await.unwrap();
        let people: Vec<_> = home.records.users().await.unwrap().into_iter().map(|user| user.id).collect();
        assert_eq!(people, ["adam", "mary"]);
    })
    .await;
}
