//! Tests staging and blobs in a bucket.

use bytes::Bytes;
use domain::{Media, Staged};
use futures::TryStreamExt;
use storage::{BlobContent, NewBlob, StoreError};
use test_support::test_stores::{S3Fault, TestStores, on_each_bucket};

use crate::folder_storage::in_folder;

/// Returns the first `len` bytes of a sequence that is the same in every call. It cannot be compressed and does not
/// repeat itself, so that a lost or doubled part is noticed.
pub(crate) fn incompressible_bytes(len: usize) -> Bytes {
    let mut state = 0x9e37_79b9_u32;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        })
        .collect()
}

pub(crate) async fn stage(bucket: &TestStores, bytes: &Bytes) -> Staged {
    let mut writer = bucket.staging.new_writer();
    for chunk in bytes.chunks(70_001) {
        writer.write(chunk).await.unwrap();
    }
    writer.finish().await.unwrap()
}

#[tokio::test]
async fn staged_bytes_of_any_length_are_read_back_unchanged() {
    on_each_bucket(async |bucket| {
        // The lengths are: no bytes, less than a part, exactly one part, and several parts with a rest.
        for len in [0, 100_000, 5 << 20, (12 << 20) + 17] {
            let bytes = incompressible_bytes(len);
            let staged = stage(bucket, &bytes).await;
            assert_eq!(staged.bytes, len as u64);
            let read = bucket.staging.read(&staged.key).await.unwrap();
            assert!(read == bytes, "{len} bytes were staged, {} bytes were read", read.len());
            bucket.staging.delete(&staged.key).await.unwrap();
            let gone = bucket.staging.read(&staged.key).await.unwrap_err();
            assert!(matches!(gone, StoreError::Missing { .. }) && !gone.is_transient(), "{gone}");
            // Deleting an object that is already gone succeeds.
            bucket.staging.delete(&staged.key).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_no_part_behind() {
    let bucket = TestStores::local().await;
    let server = bucket.local_server.as_ref().unwrap();
    let mut writer = bucket.staging.new_writer();
    writer.write(&incompressible_bytes(11 << 20)).await.unwrap();
    assert!(!server.files().is_empty(), "parts have been written");
    drop(writer);
    let aborted = async {
        while !server.files().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(120), aborted).await.expect("the upload is aborted");
}

#[tokio::test]
async fn a_request_to_a_busy_store_is_repeated_a_few_times() {
    let bucket = TestStores::local().await;
    let server = bucket.local_server.as_ref().unwrap();
    let bytes = incompressible_bytes(6 << 20);
    server.inject([S3Fault::SlowDown; 2]);
    let staged = stage(&bucket, &bytes).await;
    server.inject([S3Fault::SlowDown; 2]);
    assert!(bucket.staging.read(&staged.key).await.unwrap() == bytes);
    server.inject([S3Fault::SlowDown; 5]);
    let busy = bucket.staging.read(&staged.key).await.unwrap_err();
    assert!(busy.is_transient(), "{busy}");
}

#[tokio::test]
async fn a_truncated_response_is_never_taken_for_the_whole_object() {
    let bucket = TestStores::local().await;
    let bytes = incompressible_bytes(1 << 20);
    let staged = stage(&bucket, &bytes).await;
    bucket.local_server.as_ref().unwrap().inject([S3Fault::Truncated]);
    match bucket.staging.read(&staged.key).await {
        // The read was resumed where the connection broke.
        Ok(read) => assert!(read == bytes, "{} of {} bytes were read", read.len(), bytes.len()),
        Err(torn) => assert!(torn.is_transient(), "{torn}"),
    }
}

#[tokio::test]
async fn a_store_that_can_copy_promotes_without_the_callers_bytes() {
    on_each_bucket(async |bucket| {
        let bytes = incompressible_bytes(6 << 20);
        let staged = stage(bucket, &bytes).await;
        let (first, second) = ("uploads/3/1001-a-original", "uploads/3/1001-b-original");
        // The caller passes an empty value instead of the bytes. So the blob is right only if the store made the copy.
        bucket.copy_to_blobs(&bucket.staging, &staged.key, first, Some(Bytes::new())).await.unwrap();
        assert!(bucket.blobs.read(first).await.unwrap() == bytes);
        bucket.staging.delete(&staged.key).await.unwrap();
        assert!(bucket.blobs.read(first).await.unwrap() == bytes);
        // The staged object was deleted, so the store cannot copy it. The bytes that the caller passes are written.
        bucket.copy_to_blobs(&bucket.staging, &staged.key, second, Some(bytes.clone())).await.unwrap();
        assert!(bucket.blobs.read(second).await.unwrap() == bytes);
    })
    .await;
}

#[tokio::test]
async fn bytes_that_are_not_in_memory_are_promoted_within_a_store_and_between_stores() {
    on_each_bucket(async |bucket| {
        let bytes = incompressible_bytes(6 << 20);
        let staged = stage(bucket, &bytes).await;
        bucket.copy_to_blobs(&bucket.staging, &staged.key, "uploads/3/1001-a-original", None).await.unwrap();
        assert!(bucket.blobs.read("uploads/3/1001-a-original").await.unwrap() == bytes);
        // A folder and a bucket share no storage, so this process copies the bytes piece by piece.
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = in_folder(&folder);
        let staged_in_folder = stage(&elsewhere, &bytes).await;
        bucket
            .copy_to_blobs(&elsewhere.staging, &staged_in_folder.key, "uploads/3/1001-b-original", None)
            .await
            .unwrap();
        assert!(bucket.blobs.read("uploads/3/1001-b-original").await.unwrap() == bytes);
        elsewhere.copy_to_blobs(&bucket.staging, &staged.key, "uploads/3/1001-b-original", None).await.unwrap();
        assert!(elsewhere.blobs.read("uploads/3/1001-b-original").await.unwrap() == bytes);
        for (from, to) in [(&elsewhere, bucket), (bucket, &elsewhere), (&elsewhere, &elsewhere), (bucket, bucket)] {
            let missing =
                to.copy_to_blobs(&from.staging, "incoming/none", "uploads/3/1001-c-original", None).await.unwrap_err();
            assert!(matches!(missing, StoreError::Missing { backend: "staging", .. }), "{missing}");
        }
    })
    .await;
}

/// Tests that the deletion of a prefix deletes all blobs under it and no other blob. The test runs this function for
/// each bucket and for a folder.
async fn check_delete_prefix(stores: &TestStores) {
    for n in 0..30 {
        stores.put_blob(&format!("uploads/3/1001-a-{n}.jpg"), incompressible_bytes(100)).await;
        stores.put_blob(&format!("pictures/1001/a/{n}.jpg"), incompressible_bytes(100)).await;
    }
    let others = [
        "pictures/1001/b/512.jpg",
        "pictures/10012/a/512.jpg",
        "uploads/3/1001-b-512.jpg",
        "uploads/3/10012-a-512.jpg",
    ];
    for other in others {
        stores.put_blob(other, incompressible_bytes(100)).await;
    }
    let left = async || {
        let mut left: Vec<String> = stores.blobs.list_keys().try_collect().await.unwrap();
        left.sort();
        left
    };
    for prefix in ["uploads/3/1001-a-", "pictures/1001/a/"] {
        assert_eq!(stores.blobs.delete_prefix(prefix).await.unwrap(), 30);
        assert_eq!(stores.blobs.delete_prefix(prefix).await.unwrap(), 0);
    }
    assert_eq!(left().await, others);
    // One blob of upload 1001 is left under each of these prefixes. The first prefix is the beginning of a file name.
    // The second prefix is a folder.
    for prefix in ["uploads/3/1001-", "pictures/1001/"] {
        assert_eq!(stores.blobs.delete_prefix(prefix).await.unwrap(), 1);
    }
    assert_eq!(left().await, ["pictures/10012/a/512.jpg", "uploads/3/10012-a-512.jpg"]);
    assert_eq!(stores.blobs.delete_prefix("uploads/4/1024-").await.unwrap(), 0);
}

#[tokio::test]
async fn deleting_a_prefix_deletes_nothing_else() {
    on_each_bucket(check_delete_prefix).await;
    let folder = tempfile::tempdir().unwrap();
    check_delete_prefix(&in_folder(&folder)).await;
}

#[tokio::test]
async fn more_than_one_page_of_a_listing_is_deleted() {
    let bucket = TestStores::local().await;
    let objects = (0..1100).map(|n| NewBlob {
        key: format!("uploads/3/1001-a-{n}"),
        content: BlobContent::Bytes(incompressible_bytes(1)),
    });
    bucket.blobs.put_batch(&bucket.staging, objects.collect()).await.unwrap();
    assert_eq!(bucket.blobs.delete_prefix("uploads/3/1001-").await.unwrap(), 1100);
}

#[tokio::test]
async fn a_range_of_a_blob_is_streamed_and_a_signed_url_serves_the_whole_blob() {
    on_each_bucket(async |bucket| {
        let bytes = incompressible_bytes(300_000);
        let key = "uploads/3/1001-a-512.jpg";
        bucket.put_blob(key, bytes.clone()).await;
        let chunks = bucket.blobs.stream(key, Some(1000..200_000)).await.unwrap();
        let part: Vec<Bytes> = chunks.try_collect().await.unwrap();
        assert!(part.concat() == bytes[1000..200_000]);

        let hour = std::time::Duration::from_secs(3600);
        let url = bucket.blobs.signed_url(key, hour).await.unwrap().expect("a bucket has signed URLs");
        let answer = reqwest::get(&url).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &Media::Jpeg.mime().parse().unwrap())
        );
        assert!(answer.bytes().await.unwrap() == bytes);
        let forged = reqwest::get(url.replace("512.jpg", "75.jpg")).await.unwrap();
        assert_eq!(forged.status(), 403);
    })
    .await;
}
