//! A process dies at its nth operation on a backend, for every n, before or after the effect of the operation. The
//! process that follows reaches the same final state for every n.

use std::time::Duration;

use domain::{Clock, FileId, UploadId, UploadState};
use instrument::{FailPoints, FaultSide};
use sha2::{Digest, Sha256};
use test_support::in_process::{InProcess, prepared_folder};
use test_support::portal::read_picture;

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_ends_the_same_after_a_crash_at_any_operation() {
    let photograph = read_picture("hubble.jpg");
    let mut crashes = 0;
    for side in [FaultSide::BeforeEffect, FaultSide::AfterEffect] {
        for n in 1.. {
            let faults = FailPoints::crash_at(n, side);
            if !crash_and_recover(&photograph, faults).await {
                break;
            }
            crashes += 1;
        }
    }
    assert!(crashes > 20, "only {crashes} crashes were injected, and an upload has more operations");
    println!("all {crashes} crashes led to the same final state");
}

/// Uploads a picture to a process that `faults` crash at one operation. Then a new process recovers, and its final
/// state is checked. Returns whether the first process crashed. It does not crash if the upload has fewer operations
/// than the number in `faults`.
async fn crash_and_recover(photograph: &[u8], faults: FailPoints) -> bool {
    let folder = prepared_folder().await;
    let clock = Clock::manual(jiff::Timestamp::now());

    let process = InProcess::open(&folder, clock.clone(), faults.clone()).await.unwrap();
    let acknowledged = process.submit_picture(photograph).await;
    process.worker.run_pending().await.ok();
    process.sweeper.sweep_once().await.ok();
    drop(process);
    let crashed = faults.has_triggered();

    let process = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    process.recover().await.unwrap();
    // After more than an hour, orphans are deleted. Unclaimed pictures expire only after a day.
    clock.advance(Duration::from_secs(2 * 3600));
    process.recover().await.unwrap();

    let records = &process.backends.records;
    let stats = records.stats().await.unwrap();
    assert_eq!((stats.queued_jobs, stats.dead_jobs, stats.pending_deletions), (0, 0, 0), "{faults:?}");
    assert_eq!(folder.staged_files(), Vec::<std::path::PathBuf>::new(), "{faults:?}");
    assert_eq!(records.recount_usage().await.unwrap(), Vec::<String>::new(), "{faults:?}: a usage counter is wrong");
    assert!(stats.admitted <= 1, "{faults:?}: the upload was admitted twice");
    if let Ok(admitted) = &acknowledged {
        assert_eq!(admitted.id.get(), 1001);
        assert_eq!(stats.admitted, 1, "{faults:?}: an acknowledged upload was lost");
    }
    if stats.admitted == 1 {
        assert_eq!(stats.in_state(UploadState::Ready), 1, "{faults:?}: {stats:?}");
        let id = UploadId::try_from(1001).unwrap();
        let upload = records.upload(id).await.unwrap().unwrap();
        assert_eq!((upload.width, upload.height), (Some(1000), Some(872)));
        let original = process.backends.blobs.read(&upload.original_key.unwrap()).await.unwrap();
        assert_eq!(original, photograph);
        let variants = records.variants(id, 0).await.unwrap();
        let names: Vec<String> = variants.iter().map(|variant| variant.name.to_string()).collect();
        assert_eq!(names, ["25.jpg", "512.jpg", "75.jpg"], "{faults:?}");
        for variant in variants {
            let bytes = process.backends.blobs.read(&variant.key).await.unwrap();
            let digest = domain::hex(&Sha256::digest(&bytes));
            assert_eq!(digest, variant.sha256, "{faults:?}: {}", variant.name);
        }
        assert_eq!(folder.blob_files().len(), 4, "{faults:?}: blobs without a row");
    } else {
        assert_eq!(folder.blob_files().len(), 0, "{faults:?}");
    }
    crashed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_ends_the_same_after_a_crash_at_any_operation() {
    let photograph = read_picture("hubble.jpg");
    let mut crashes = 0;
    for side in [FaultSide::BeforeEffect, FaultSide::AfterEffect] {
        for n in 1.. {
            if !crash_with_file_and_recover(&photograph, FailPoints::crash_at(n, side)).await {
                break;
            }
            crashes += 1;
        }
    }
    assert!(crashes > 20, "only {crashes} crashes were injected, and an upload of a file has more operations");
    println!("all {crashes} crashes led to the same final state");
}

/// Uploads a file. Otherwise like `crash_and_recover`: a process crashes, and a new process recovers. Returns whether
/// the first process crashed.
async fn crash_with_file_and_recover(photograph: &[u8], faults: FailPoints) -> bool {
    let (folder, file) = (prepared_folder().await, FileId::generate());
    let clock = Clock::manual(jiff::Timestamp::now());
    let process = InProcess::open(&folder, clock.clone(), faults.clone()).await.unwrap();
    let acknowledged = process.submit_file(&file, photograph).await;
    process.worker.run_pending().await.ok();
    process.sweeper.sweep_once().await.ok();
    drop(process);
    let crashed = faults.has_triggered();

    let process = InProcess::open(&folder, clock.clone(), FailPoints::default()).await.unwrap();
    process.recover().await.unwrap();
    clock.advance(Duration::from_secs(2 * 3600));
    process.recover().await.unwrap();

    let records = &process.backends.records;
    let stats = records.stats().await.unwrap();
    assert_eq!((stats.queued_jobs, stats.dead_jobs, stats.pending_deletions), (0, 0, 0), "{faults:?}");
    assert_eq!(folder.staged_files(), Vec::<std::path::PathBuf>::new(), "{faults:?}");
    assert_eq!(records.recount_usage().await.unwrap(), Vec::<String>::new(), "{faults:?}: a usage counter is wrong");
    assert!(acknowledged.is_err() || stats.admitted == 1, "{faults:?}: an acknowledged file was lost");
    let found = records.file(&file).await.unwrap();
    assert_eq!(found.is_some(), stats.admitted == 1, "{faults:?}: {stats:?}");
    if found.is_some() {
        let upload = records.file_version(&file, 1).await.unwrap().unwrap().upload.unwrap();
        assert_eq!((upload.state, upload.width, upload.height), (UploadState::Ready, Some(1000), Some(872)));
        let original = process.backends.blobs.read(&upload.original_key.unwrap()).await.unwrap();
        assert!(original == photograph, "{faults:?}");
        let variants = records.variants(upload.id, 0).await.unwrap();
        let names: Vec<String> = variants.iter().map(|variant| variant.name.to_string()).collect();
        assert_eq!(names, ["fit256.jpg"], "{faults:?}");
        assert_eq!(folder.blob_files().len(), 2, "{faults:?}: blobs without a row");
    } else {
        assert_eq!(folder.blob_files().len(), 0, "{faults:?}");
    }
    crashed
}
