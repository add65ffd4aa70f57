//! Tests that a store which is not set up, not reachable or overloaded never reports an object as missing.

use std::time::Duration;

use instrument::FailPoints;
use storage::{Staging, StoreError};
use test_support::engine_address::{BucketAccount, host, real_buckets};
use test_support::proxy::{Proxy, ProxyState};
use test_support::test_stores::{S3Fault, TestStores};

use crate::bucket_storage::{incompressible_bytes, stage};
use crate::folder_storage::in_folder;

fn open_staging(account: &BucketAccount) -> Staging {
    let settings = account.store_settings(&uuid::Uuid::now_v7().simple().to_string());
    Staging::open(&settings, FailPoints::default()).unwrap()
}

#[tokio::test]
async fn a_missing_bucket_or_a_wrong_key_is_not_a_missing_object() {
    for account in real_buckets() {
        check_wrong_settings(&account).await;
    }
}

/// Tests that the error of every operation names the wrong setting.
async fn check_wrong_settings(account: &BucketAccount) {
    let other = |bucket: &str, id: &str, secret: &str| {
        let (bucket, id, secret) = (bucket.to_owned(), id.to_owned(), secret.to_owned());
        open_staging(&BucketAccount { bucket, id, secret, ..account.clone() })
    };
    let no_bucket = format!("the {} does not exist", account.noun);
    let not_accepted = "the store does not accept the access key";
    for (staging, why) in [
        (other("no-such-bucket", &account.id, &account.secret), no_bucket.as_str()),
        (other(&account.bucket, "NOBODY", &account.secret), not_accepted),
        // The word "wrong" in base64, which some engines require of a key.
        (other(&account.bucket, &account.id, "d3Jvbmc="), not_accepted),
    ] {
        let mut writer = staging.new_writer();
        writer.write(b"abc").await.unwrap();
        let errors = [
            staging.ping().await.unwrap_err(),
            staging.read("incoming/a").await.unwrap_err(),
            staging.stream("incoming/a").await.map(drop).unwrap_err(),
            staging.delete("incoming/a").await.unwrap_err(),
            futures::TryStreamExt::try_collect::<Vec<_>>(staging.list_older_than(jiff::Timestamp::MAX))
                .await
                .unwrap_err(),
            writer.finish().await.map(drop).unwrap_err(),
        ];
        for error in errors {
            let StoreError::Misconfigured { why: said, .. } = &error else { panic!("{error}") };
            assert_eq!(*said, why, "{error}");
            assert!(error.is_transient(), "an operator can correct the setting: {error}");
        }
    }
    let right = open_staging(account);
    right.ping().await.unwrap();
    assert!(matches!(right.read("incoming/a").await.unwrap_err(), StoreError::Missing { .. }));
}

#[tokio::test]
async fn no_object_counts_as_missing_while_a_store_refuses_hangs_or_is_overloaded() {
    for account in real_buckets() {
        check_outages(account).await;
    }
}

/// Tests that no failure of the connection is reported as a missing object.
async fn check_outages(account: BucketAccount) {
    let proxy = Proxy::to(host(&account.endpoint)).await;
    let endpoint = account.endpoint.replace(host(&account.endpoint), &format!("127.0.0.1:{}", proxy.port));
    let staging = open_staging(&BucketAccount { endpoint, ..account });
    for state in [ProxyState::Broken, ProxyState::Overloaded, ProxyState::Silent] {
        proxy.set(state);
        let result = tokio::time::timeout(Duration::from_secs(20), staging.read("incoming/a")).await;
        // A request that hangs is ended by its caller or by the client's own time limit.
        if let Ok(result) = result {
            let error = result.unwrap_err();
            assert!(matches!(error, StoreError::Engine { .. }), "{state:?}: {error}");
        } else {
            assert_eq!(state, ProxyState::Silent);
        }
    }
    proxy.set(ProxyState::Open);
    assert!(matches!(staging.read("incoming/a").await.unwrap_err(), StoreError::Missing { .. }));
}

#[tokio::test]
async fn a_404_that_is_not_the_stores_own_says_nothing_about_an_object() {
    let bucket = TestStores::local().await;
    let staged = stage(&bucket, &incompressible_bytes(1000)).await;
    bucket.local_server.as_ref().unwrap().inject([S3Fault::NotFound; 2]);
    let error = bucket.staging.read(&staged.key).await.unwrap_err();
    assert!(matches!(error, StoreError::Engine { .. }) && error.is_transient(), "{error}");
    bucket.staging.ping().await.unwrap_err();
    bucket.staging.read(&staged.key).await.unwrap();
}

#[tokio::test]
async fn a_folder_whose_disk_is_not_mounted_reports_no_missing_object() {
    let folder = tempfile::tempdir().unwrap();
    let stores = in_folder(&folder);
    let staged = stage(&stores, &incompressible_bytes(1000)).await;
    let (there, aside) = (folder.path().join("staging"), folder.path().join("aside"));
    // In the first round the folder is gone with its mount point. In the second round an empty mount point is left.
    for mount_point in [false, true] {
        std::fs::rename(&there, &aside).unwrap();
        if mount_point {
            std::fs::create_dir(&there).unwrap();
        }
        for error in [
            stores.staging.read(&staged.key).await.unwrap_err(),
            stores.staging.stream(&staged.key).await.map(drop).unwrap_err(),
            stores.copy_to_blobs(&stores.staging, &staged.key, "uploads/3/1001-a-original", None).await.unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Misconfigured { backend: "staging", .. }), "{error}");
        }
        assert_eq!(stores.staging.ping().await.is_err(), !mount_point);
        std::fs::remove_dir(&there).ok();
        std::fs::rename(&aside, &there).unwrap();
    }
    stores.staging.ping().await.unwrap();
    stores.staging.delete(&staged.key).await.unwrap();
    assert!(matches!(stores.staging.read(&staged.key).await.unwrap_err(), StoreError::Missing { .. }));
}
