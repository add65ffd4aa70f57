//! Whether an upload can be taken, found out before any of it has come: the reserve of disk space, records that take
//! writes, and numbers that were never given.

use std::path::Path;
use std::time::Duration;

use upload::{Backend, Blobs, Content, Faults, Object, PlaceError, Places, PlacesSettings, RecordsError};

use crate::failing_disk::{Disk, Mounted};
use crate::home::{Home, admission, on_both};

/// The places of one test below a folder, with records at an address and one reserve for all.
async fn places(folder: &Path, home: &Home, min_free: &str) -> Places {
    reserving(folder, home, [min_free; 3]).await
}

/// The same with a reserve each for staging, blobs and records.
async fn reserving(folder: &Path, home: &Home, [staging, blobs, records]: [&str; 3]) -> Places {
    let store = |name: &str, min_free: &str| {
        let url = format!("file://{}", folder.join(name).display());
        serde_json::json!({"url": url, "endpoint": "", "region": "", "access_key_id": "", "secret_access_key": "",
                           "min_free": min_free})
    };
    let settings: PlacesSettings = serde_json::from_value(serde_json::json!({
        "staging": store("staging", staging),
        "blobs": store("blobs", blobs),
        "queue": {"url": "memory:"},
        "records": {"url": home.url, "max_connections": 4, "min_free": records,
                    "timeout": "10s", "pooler": "none"},
    }))
    .unwrap();
    Places::open(&settings, home.clock.clone(), Faults::default()).await.unwrap()
}

#[tokio::test]
async fn records_that_were_restored_give_no_number_again() {
    on_both(async |home| {
        let folder = tempfile::tempdir().unwrap();
        let now = places(folder.path(), home, "0 B").await;
        now.accept_upload(0).await.unwrap();
        let last = now.records.admit(admission("mary")).await.unwrap().id;
        // What came after the backup, of which the records know nothing any more: numbers in this folder of blobs and in
        // later ones, some of which have expired.
        let lost = [last.get() + 1, last.get() + 700, last.get() + 1500];
        for number in lost {
            let key = format!("{}512.jpg", Blobs::prefix(number.try_into().unwrap()));
            let blob = Object { key, content: Content::Bytes("a picture".into()) };
            now.blobs.put_all(&now.staging, vec![blob]).await.unwrap();
        }
        let restored = places(folder.path(), home, "0 B").await;
        restored.accept_upload(0).await.unwrap();
        let next = restored.records.admit(admission("mary")).await.unwrap().id;
        assert!(next.get() > lost[2], "{next} after {lost:?}");
        // And nothing is skipped where nothing was lost.
        let again = places(folder.path(), home, "0 B").await;
        again.accept_upload(0).await.unwrap();
        let following = again.records.admit(admission("mary")).await.unwrap().id;
        assert_eq!(following.get(), next.get() + 1);
        for places in [now, restored, again] {
            places.records.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn below_the_reserve_no_upload_is_taken() {
    on_both(async |home| {
        let folder = tempfile::tempdir().unwrap();
        let plenty = places(folder.path(), home, "1 KiB").await;
        plenty.accept_upload(1000).await.unwrap();
        let refused = plenty.accept_upload(1 << 60).await.unwrap_err();
        assert!(matches!(refused, PlaceError::LowSpace(_)) && refused.is_transient(), "{refused}");
        assert_eq!(refused.state(), "low on space");
        let low = places(folder.path(), home, "1 EiB").await;
        low.accept_upload(0).await.unwrap_err();
        // What is there already goes on: records answer, take writes and are not called down.
        low.records.ping().await.unwrap();
        low.records.admit(admission("mary")).await.unwrap();
        let none = places(folder.path(), home, "0 B").await;
        none.accept_upload(1 << 60).await.unwrap();
        for places in [plenty, low, none] {
            places.records.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn each_place_has_a_reserve_of_its_own() {
    on_both(async |home| {
        let folder = tempfile::tempdir().unwrap();
        for (n, place) in ["staging", "blobs", "records"].into_iter().enumerate() {
            let mut reserves = ["0 B"; 3];
            reserves[n] = "1 EiB";
            let places = reserving(folder.path(), home, reserves).await;
            match places.accept_upload(0).await {
                Err(PlaceError::LowSpace(low)) => assert_eq!(low.place, place),
                // The disk of a server is not seen from here.
                taken => assert!(taken.is_ok() && place == "records" && home.url.starts_with("postgres"), "{taken:?}"),
            }
            places.records.close().await.unwrap();
        }
    })
    .await;
}

/// Asks until it is so.
async fn until(holds: impl AsyncFn() -> bool) {
    let asked = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // A second until the next look at the disk is due; the rest is a busy machine's.
    tokio::time::timeout(Duration::from_secs(5), asked).await.unwrap();
}

#[tokio::test]
async fn records_on_a_full_disk_say_so_until_there_is_room() {
    let Some(small) = Mounted::new("16m") else { return };
    let url = format!("sqlite://{}", small.path().join("records.db").display());
    migrations::up(&url).await.unwrap();
    let home = Home::at(url).await;
    let places = places(small.path(), &home, "0 B").await;
    places.accept_upload(0).await.unwrap();
    places.records.ping().await.unwrap();
    let disk = Disk::Small(small.path().to_owned());
    // Room for a probe of one page and not for an upload.
    disk.leave(512 << 10);
    until(async || matches!(places.records.ping().await, Err(RecordsError::Full))).await;
    disk.free();
    until(async || places.records.ping().await.is_ok()).await;
    disk.leave(0);
    // Until the log has no room of its own left.
    let full = async {
        loop {
            if let Err(error) = places.records.admit(admission("mary")).await {
                return error;
            }
        }
    };
    let full = full.await;
    assert!(matches!(full, RecordsError::Full), "{full}");
    let pinged = places.records.ping().await.unwrap_err();
    assert!(matches!(pinged, RecordsError::Full), "{pinged}");
    // This is what the worker asks, for its probe and its circuit breaker.
    assert_eq!(places.ping(Backend::Records).await.unwrap_err().state(), "full");
    let refused = places.accept_upload(0).await.unwrap_err();
    assert_eq!(refused.state(), "full");
    disk.free();
    until(async || places.accept_upload(0).await.is_ok() && places.records.ping().await.is_ok()).await;
    places.records.admit(admission("mary")).await.unwrap();
    places.records.close().await.unwrap();
    home.end().await;
}
