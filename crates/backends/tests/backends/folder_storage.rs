//! Tests staging and blobs in folders: which files are on disk after each operation, and that concurrent changes do no
//! harm.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::{join_all, try_join_all};
use instrument::FailPoints;
use storage::{BlobContent, Blobs, NewBlob, Staging, StoreError};
use test_support::test_stores::{TestStores, folder_store};

use crate::bucket_storage::{incompressible_bytes, stage};

/// Staging and blobs in one folder.
pub(crate) fn in_folder(folder: &tempfile::TempDir) -> TestStores {
    let settings = |place: &str| folder_store(&folder.path().join(place));
    let staging = Staging::open(&settings("staging"), FailPoints::default()).unwrap();
    let blobs = Blobs::open(&settings("blobs"), FailPoints::default()).unwrap();
    TestStores { staging, blobs, local_server: None }
}

/// The paths of all files below a folder, sorted.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    fn below(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
        entries.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
    }
    let mut files: Vec<PathBuf> =
        below(folder).into_iter().map(|path| path.strip_prefix(folder).unwrap().to_owned()).collect();
    files.sort();
    files
}

fn objects(keys: &[&str], bytes: &Bytes) -> Vec<NewBlob> {
    let object = |key: &&str| NewBlob { key: (*key).to_owned(), content: BlobContent::Bytes(bytes.clone()) };
    keys.iter().map(object).collect()
}

#[tokio::test]
async fn each_object_is_one_file_and_no_other_file_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let stores = in_folder(&folder);
    // The lengths are: no bytes, less than a part, exactly the first part, twice that, and several parts with a rest.
    for len in [0, 70_000, 128 << 10, 256 << 10, 1_000_000] {
        let bytes = incompressible_bytes(len);
        let staged = stage(&stores, &bytes).await;
        assert_eq!(files_below(&folder.path().join("staging")), [PathBuf::from(&staged.key)]);
        assert!(std::fs::read(folder.path().join("staging").join(&staged.key)).unwrap() == bytes);
        assert!(stores.staging.read(&staged.key).await.unwrap() == bytes);
        stores.staging.delete(&staged.key).await.unwrap();
    }
    let keys = ["uploads/3/1001-a-25.jpg", "uploads/3/1001-a-512.jpg", "uploads/3/1001-a-75.jpg"];
    stores.blobs.put_batch(&stores.staging, objects(&keys, &incompressible_bytes(1000))).await.unwrap();
    assert_eq!(files_below(&folder.path().join("blobs")), keys.map(PathBuf::from));
}

#[tokio::test]
async fn a_staged_writer_that_is_dropped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let stores = in_folder(&folder);
    let mut writer = stores.staging.new_writer();
    writer.write(&incompressible_bytes(1_000_000)).await.unwrap();
    assert_eq!(files_below(&folder.path().join("staging")).len(), 1, "parts are on disk");
    drop(writer);
    let gone = async {
        while !files_below(&folder.path().join("staging")).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(120), gone).await.expect("the file is removed");
}

#[tokio::test]
async fn a_writer_whose_file_was_deleted_as_an_orphan_reports_it_missing() {
    let folder = tempfile::tempdir().unwrap();
    let stores = in_folder(&folder);
    let mut writer = stores.staging.new_writer();
    writer.write(&incompressible_bytes(1_000_000)).await.unwrap();
    let begun: Vec<String> = stores.staging.list_older_than(jiff::Timestamp::MAX).try_collect().await.unwrap();
    stores.staging.delete(&begun[0]).await.unwrap();
    writer.write(&incompressible_bytes(1_000_000)).await.unwrap();
    let missing = writer.finish().await.unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");
    assert!(files_below(&folder.path().join("staging")).is_empty());
}

#[tokio::test]
async fn a_batch_that_fails_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let stores = in_folder(&folder);
    let (first, second) = (incompressible_bytes(1000), incompressible_bytes(2000));
    stores.blobs.put_batch(&stores.staging, objects(&["uploads/3/1001-a-75.jpg"], &first)).await.unwrap();
    let keys = ["uploads/3/1001-a-512.jpg", "uploads/4/1024-a-512.jpg", "uploads/3/1001-a-75.jpg"];
    let failed = stores.blobs.put_batch(&stores.staging, objects(&keys, &second)).await.unwrap_err();
    assert!(failed.is_transient(), "{failed}");
    assert_eq!(files_below(&folder.path().join("blobs")), [PathBuf::from(keys[2])]);
    assert!(stores.blobs.read(keys[2]).await.unwrap() == first, "an object that exists is never written again");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_begin_in_a_folder_that_does_not_exist_yet() {
    let folder = tempfile::tempdir().unwrap();
    let stores = in_folder(&folder);
    let bytes = incompressible_bytes(1000);
    let keys: Vec<String> = (0..64).map(|n| format!("uploads/3/{}-a-512.jpg", 1000 + n)).collect();
    let writes = keys.iter().map(|key| stores.blobs.put_batch(&stores.staging, objects(&[key], &bytes)));
    try_join_all(writes).await.unwrap();
    let staged = join_all((0..64).map(|_| stage(&stores, &bytes))).await;
    assert_eq!(files_below(&folder.path().join("blobs")).len(), keys.len());
    assert_eq!(files_below(&folder.path().join("staging")).len(), staged.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_written_while_empty_folders_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let stores = in_folder(&folder);
    let done = Arc::new(AtomicBool::new(false));
    let (watched, stop) = (folder.path().to_owned(), Arc::clone(&done));
    let cleaner = std::thread::spawn(move || {
        let mut removed = 0;
        while !stop.load(Ordering::Relaxed) {
            for empty in ["staging/incoming", "blobs/uploads/3", "blobs/uploads"] {
                removed += usize::from(std::fs::remove_dir(watched.join(empty)).is_ok());
            }
            std::thread::yield_now();
        }
        removed
    });
    let bytes = incompressible_bytes(200_000);
    for n in 0..100 {
        let staged = stage(&stores, &bytes).await;
        let key = format!("uploads/3/{}-a-original", 1000 + n);
        stores.copy_to_blobs(&stores.staging, &staged.key, &key, None).await.unwrap();
        stores.put_blob(&format!("uploads/3/{}-a-512.jpg", 1000 + n), bytes.clone()).await;
        stores.staging.delete(&staged.key).await.unwrap();
        assert!(stores.blobs.read(&key).await.unwrap() == bytes);
        assert_eq!(stores.blobs.delete_prefix(&format!("uploads/3/{}-", 1000 + n)).await.unwrap(), 2);
    }
    done.store(true, Ordering::Relaxed);
    assert!(cleaner.join().unwrap() > 0, "nothing was removed in between");
}

#[tokio::test]
async fn two_folders_of_one_disk_share_the_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let stores = in_folder(&folder);
    let bytes = incompressible_bytes(200_000);
    let staged = stage(&stores, &bytes).await;
    let key = "uploads/3/1001-a-original";
    stores.copy_to_blobs(&stores.staging, &staged.key, key, Some(Bytes::new())).await.unwrap();
    stores.staging.delete(&staged.key).await.unwrap();
    assert!(stores.blobs.read(key).await.unwrap() == bytes);
    assert_eq!(stores.blobs.signed_url(key, std::time::Duration::from_secs(1)).await.unwrap(), None);
    assert_eq!(stores.blobs.delete_prefix("uploads/3/1001-").await.unwrap(), 1);
    // If the staged file is gone, the bytes that the caller holds are written all the same. Another attempt may have
    // settled meanwhile, and a settled upload has no staged file.
    stores.copy_to_blobs(&stores.staging, &staged.key, key, Some(bytes.clone())).await.unwrap();
    assert!(stores.blobs.read(key).await.unwrap() == bytes);
}
