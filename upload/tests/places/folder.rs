//! Staging and blobs in folders: what is on disk after each operation, and who may get in between.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::{join_all, try_join_all};
use upload::{Blobs, Content, Faults, Object, Secret, Staging, StoreError, StoreSettings};

use crate::bucket::Bucket;
use crate::stores::{noise, stage};

/// Staging and blobs in one folder.
pub(crate) fn folders(folder: &tempfile::TempDir) -> Bucket {
    let settings = |place: &str| StoreSettings {
        url: Secret::new(format!("file://{}/{place}", folder.path().display())),
        endpoint: String::new(),
        region: String::new(),
        access_key_id: String::new(),
        secret_access_key: Secret::default(),
        min_free: Default::default(),
    };
    let staging = Staging::open(&settings("staging"), Faults::default()).unwrap();
    let blobs = Blobs::open(&settings("blobs"), Faults::default()).unwrap();
    Bucket { staging, blobs, server: None }
}

/// Every file below, whatever it is called, from there.
fn files(folder: &Path) -> Vec<PathBuf> {
    fn below(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
        entries.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
    }
    let mut files: Vec<PathBuf> =
        below(folder).into_iter().map(|path| path.strip_prefix(folder).unwrap().to_owned()).collect();
    files.sort();
    files
}

fn objects(keys: &[&str], bytes: &Bytes) -> Vec<Object> {
    let object = |key: &&str| Object { key: (*key).to_owned(), content: Content::Bytes(bytes.clone()) };
    keys.iter().map(object).collect()
}

#[tokio::test]
async fn what_is_written_is_one_file_under_its_name_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let places = folders(&folder);
    // In one piece, exactly a part, and in several with a rest.
    for len in [0, 70_000, 128 << 10, 256 << 10, 1_000_000] {
        let bytes = noise(len);
        let staged = stage(&places, &bytes).await;
        assert_eq!(files(&folder.path().join("staging")), [PathBuf::from(&staged.key)]);
        assert!(std::fs::read(folder.path().join("staging").join(&staged.key)).unwrap() == bytes);
        assert!(places.staging.read(&staged.key).await.unwrap() == bytes);
        places.staging.remove(&staged.key).await.unwrap();
    }
    let keys = ["uploads/3/1001-a-25.jpg", "uploads/3/1001-a-512.jpg", "uploads/3/1001-a-75.jpg"];
    places.blobs.put_all(&places.staging, objects(&keys, &noise(1000))).await.unwrap();
    assert_eq!(files(&folder.path().join("blobs")), keys.map(PathBuf::from));
}

#[tokio::test]
async fn an_intake_that_is_dropped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let places = folders(&folder);
    let mut intake = places.staging.intake();
    intake.write(&noise(1_000_000)).await.unwrap();
    assert_eq!(files(&folder.path().join("staging")).len(), 1, "parts are on disk");
    drop(intake);
    let gone = async {
        while !files(&folder.path().join("staging")).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(120), gone).await.expect("the file is removed");
}

#[tokio::test]
async fn nobody_is_told_that_bytes_are_there_which_were_taken_for_an_orphan() {
    let folder = tempfile::tempdir().unwrap();
    let places = folders(&folder);
    let mut intake = places.staging.intake();
    intake.write(&noise(1_000_000)).await.unwrap();
    let begun: Vec<String> = places.staging.older_than(jiff::Timestamp::MAX).try_collect().await.unwrap();
    places.staging.remove(&begun[0]).await.unwrap();
    intake.write(&noise(1_000_000)).await.unwrap();
    let missing = intake.finish().await.unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");
    assert!(files(&folder.path().join("staging")).is_empty());
}

#[tokio::test]
async fn what_cannot_be_written_whole_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let places = folders(&folder);
    let (first, second) = (noise(1000), noise(2000));
    places.blobs.put_all(&places.staging, objects(&["uploads/3/1001-a-75.jpg"], &first)).await.unwrap();
    let keys = ["uploads/3/1001-a-512.jpg", "uploads/4/1024-a-512.jpg", "uploads/3/1001-a-75.jpg"];
    let failed = places.blobs.put_all(&places.staging, objects(&keys, &second)).await.unwrap_err();
    assert!(failed.is_transient(), "{failed}");
    assert_eq!(files(&folder.path().join("blobs")), [PathBuf::from(keys[2])]);
    assert!(places.blobs.read(keys[2]).await.unwrap() == first, "what is there is never written again");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_begin_in_a_folder_that_is_not_there_yet() {
    let folder = tempfile::tempdir().unwrap();
    let places = folders(&folder);
    let bytes = noise(1000);
    let keys: Vec<String> = (0..64).map(|n| format!("uploads/3/{}-a-512.jpg", 1000 + n)).collect();
    let writes = keys.iter().map(|key| places.blobs.put_all(&places.staging, objects(&[key], &bytes)));
    try_join_all(writes).await.unwrap();
    let staged = join_all((0..64).map(|_| stage(&places, &bytes))).await;
    assert_eq!(files(&folder.path().join("blobs")).len(), keys.len());
    assert_eq!(files(&folder.path().join("staging")).len(), staged.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_removes_every_folder_that_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let places = folders(&folder);
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
    let bytes = noise(200_000);
    for n in 0..100 {
        let staged = stage(&places, &bytes).await;
        let key = format!("uploads/3/{}-a-original", 1000 + n);
        places.promote(&places.staging, &staged.key, &key, None).await.unwrap();
        places.put(&format!("uploads/3/{}-a-512.jpg", 1000 + n), bytes.clone()).await;
        places.staging.remove(&staged.key).await.unwrap();
        assert!(places.blobs.read(&key).await.unwrap() == bytes);
        assert_eq!(places.blobs.remove_all(&format!("uploads/3/{}-", 1000 + n)).await.unwrap(), 2);
    }
    done.store(true, Ordering::Relaxed);
    assert!(cleaner.join().unwrap() > 0, "nothing was removed in between");
}

#[tokio::test]
async fn two_folders_of_one_disk_share_the_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let places = folders(&folder);
    let bytes = noise(200_000);
    let staged = stage(&places, &bytes).await;
    let key = "uploads/3/1001-a-original";
    places.promote(&places.staging, &staged.key, key, Some(Bytes::new())).await.unwrap();
    places.staging.remove(&staged.key).await.unwrap();
    assert!(places.blobs.read(key).await.unwrap() == bytes);
    assert_eq!(places.blobs.signed(key, std::time::Duration::from_secs(1)).await.unwrap(), None);
    assert_eq!(places.blobs.remove_all("uploads/3/1001-").await.unwrap(), 1);
    // What is gone is written all the same where somebody holds it: another attempt may have settled meanwhile.
    places.promote(&places.staging, &staged.key, key, Some(bytes.clone())).await.unwrap();
    assert!(places.blobs.read(key).await.unwrap() == bytes);
}
