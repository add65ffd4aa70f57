//! A process dies at its nth operation on any place, for every n, before or after the effect. Whatever had happened by
//! then, the next process brings it to the same end.

use std::time::Duration;

use sha2::{Digest, Sha256};
use upload::{Clock, Faults, FileId, Side, State, UploadId};

use crate::parts::{Parts, prepared};
use crate::portal::picture;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_operation_is_the_last_the_end_is_the_same() {
    let photograph = picture("hubble.jpg");
    let mut died = 0;
    for side in [Side::Before, Side::After] {
        for n in 1.. {
            let faults = Faults::die_at(n, side);
            if !die_and_recover(&photograph, faults).await {
                break;
            }
            died += 1;
        }
    }
    assert!(died > 20, "only {died} crash points: the way of an upload has more operations than that");
    println!("{died} crash points, one end");
}

/// Whether the process died at all: whether the way is as long as that.
async fn die_and_recover(photograph: &[u8], faults: Faults) -> bool {
    let folder = prepared().await;
    let clock = Clock::manual(jiff::Timestamp::now());

    let parts = Parts::open(&folder, clock.clone(), faults.clone()).await.unwrap();
    let acknowledged = parts.hand_in(photograph).await;
    parts.worker.run_what_is_there().await.ok();
    parts.sweeper.once().await.ok();
    drop(parts);
    let died = faults.struck();

    let parts = Parts::open(&folder, clock.clone(), Faults::default()).await.unwrap();
    parts.recover().await.unwrap();
    // Past the hour after which what no row wants is collected, short of the day after which nobody's claim expires it.
    clock.advance(Duration::from_secs(2 * 3600));
    parts.recover().await.unwrap();

    let records = &parts.places.records;
    let census = records.census().await.unwrap();
    assert_eq!((census.open_jobs, census.dead_jobs, census.condemned), (0, 0, 0), "{faults:?}");
    assert_eq!(folder.staged(), Vec::<std::path::PathBuf>::new(), "{faults:?}");
    assert_eq!(records.recount().await.unwrap(), Vec::<String>::new(), "{faults:?}: a counter is wrong");
    assert!(census.admitted <= 1, "{faults:?}: doubled");
    if let Ok(admitted) = &acknowledged {
        assert_eq!(admitted.id.get(), 1001);
        assert_eq!(census.admitted, 1, "{faults:?}: an acknowledged upload was lost");
    }
    if census.admitted == 1 {
        assert_eq!(census.of(State::Ready), 1, "{faults:?}: {census:?}");
        let id = UploadId::try_from(1001).unwrap();
        let upload = records.upload(id).await.unwrap().unwrap();
        assert_eq!((upload.width, upload.height), (Some(1000), Some(872)));
        let original = parts.places.blobs.read(&upload.original_key.unwrap()).await.unwrap();
        assert_eq!(original, photograph);
        let variants = records.variants(id, 0).await.unwrap();
        let names: Vec<String> = variants.iter().map(|variant| variant.name.to_string()).collect();
        assert_eq!(names, ["25.jpg", "512.jpg", "75.jpg"], "{faults:?}");
        for variant in variants {
            let bytes = parts.places.blobs.read(&variant.key).await.unwrap();
            let digest = upload::hex(&Sha256::digest(&bytes));
            assert_eq!(digest, variant.sha256, "{faults:?}: {}", variant.name);
        }
        assert_eq!(folder.blobs().len(), 4, "{faults:?}: blobs that nobody needs");
    } else {
        assert_eq!(folder.blobs().len(), 0, "{faults:?}");
    }
    died
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_with_files() {
    let photograph = picture("hubble.jpg");
    let mut died = 0;
    for side in [Side::Before, Side::After] {
        for n in 1.. {
            if !die_with_a_file(&photograph, Faults::die_at(n, side)).await {
                break;
            }
            died += 1;
        }
    }
    assert!(died > 20, "only {died} crash points: the way of a file has more operations than that");
    println!("{died} crash points, one end");
}

async fn die_with_a_file(photograph: &[u8], faults: Faults) -> bool {
    let (folder, file) = (prepared().await, FileId::fresh());
    let clock = Clock::manual(jiff::Timestamp::now());
    let parts = Parts::open(&folder, clock.clone(), faults.clone()).await.unwrap();
    let acknowledged = parts.hand_in_file(&file, photograph).await;
    parts.worker.run_what_is_there().await.ok();
    parts.sweeper.once().await.ok();
    drop(parts);
    let died = faults.struck();

    let parts = Parts::open(&folder, clock.clone(), Faults::default()).await.unwrap();
    parts.recover().await.unwrap();
    clock.advance(Duration::from_secs(2 * 3600));
    parts.recover().await.unwrap();

    let records = &parts.places.records;
    let census = records.census().await.unwrap();
    assert_eq!((census.open_jobs, census.dead_jobs, census.condemned), (0, 0, 0), "{faults:?}");
    assert_eq!(folder.staged(), Vec::<std::path::PathBuf>::new(), "{faults:?}");
    assert_eq!(records.recount().await.unwrap(), Vec::<String>::new(), "{faults:?}: a counter is wrong");
    assert!(acknowledged.is_err() || census.admitted == 1, "{faults:?}: an acknowledged file was lost");
    let found = records.file(&file).await.unwrap();
    assert_eq!(found.is_some(), census.admitted == 1, "{faults:?}: {census:?}");
    if found.is_some() {
        let upload = records.file_version(&file, 1).await.unwrap().unwrap().upload.unwrap();
        assert_eq!((upload.state, upload.width, upload.height), (State::Ready, Some(1000), Some(872)));
        let original = parts.places.blobs.read(&upload.original_key.unwrap()).await.unwrap();
        assert!(original == photograph, "{faults:?}");
        let variants = records.variants(upload.id, 0).await.unwrap();
        let names: Vec<String> = variants.iter().map(|variant| variant.name.to_string()).collect();
        assert_eq!(names, ["fit256.jpg"], "{faults:?}");
        assert_eq!(folder.blobs().len(), 2, "{faults:?}: blobs that nobody needs");
    } else {
        assert_eq!(folder.blobs().len(), 0, "{faults:?}");
    }
    died
}
