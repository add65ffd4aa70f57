//! Tests the checks that decide, before any byte of an upload is received, whether it can be accepted: the reserve of
//! disk space, writable records, and upload numbers that were never assigned.

use std::path::Path;
use std::time::Duration;

use backends::{BackendError, Backends, BackendsSettings};
use domain::Backend;
use instrument::FailPoints;
use records::RecordsError;
use storage::{BlobContent, NewBlob};
use test_support::failing_disk::FailingDisk;
use test_support::test_db::{TestDb, admission, on_both_engines};
use test_support::tmpfs::Tmpfs;

/// Opens the backends of one test, with stores in a folder, the records of `db`, and the same reserve for each backend.
async fn open_backends(folder: &Path, db: &TestDb, min_free: &str) -> Backends {
    open_with_reserves(folder, db, [min_free; 3]).await
}

/// Opens the backends with separate reserves for staging, blobs and records.
async fn open_with_reserves(folder: &Path, db: &TestDb, [staging, blobs, records]: [&str; 3]) -> Backends {
    let store = |name: &str, min_free: &str| {
        let url = format!("file://{}", folder.join(name).display());
        serde_json::json!({"url": url, "endpoint": "", "region": "", "access_key_id": "", "secret_access_key": "",
                           "min_free": min_free})
    };
    let settings: BackendsSettings = serde_json::from_value(serde_json::json!({
        "staging": store("staging", staging),
        "blobs": store("blobs", blobs),
        "queue": {"url": "memory:"},
        "records": {"url": db.url, "max_connections": 4, "min_free": records,
                    "timeout": "10s", "pooler": "none"},
    }))
    .unwrap();
    Backends::open(&settings, db.clock.clone(), FailPoints::default()).await.unwrap()
}

#[tokio::test]
async fn restored_records_assign_no_upload_id_again() {
    on_both_engines(async |db| {
        let folder = tempfile::tempdir().unwrap();
        let now = open_backends(folder.path(), db, "0 B").await;
        now.check_accepts_upload(0).await.unwrap();
        let last = now.records.admit(admission("mary")).await.unwrap().id;
        // Uploads after the backup, which the restored records do not know. Their numbers are in
        // the same folder of blobs and in later folders. The numbers between them are of uploads
        // that have expired.
        let lost = [last.get() + 1, last.get() + 700, last.get() + 1500];
        for number in lost {
            let key = format!("{}512.jpg", domain::blob_keys::new_attempt_prefix(number.try_into().unwrap()));
            let blob = NewBlob { key, content: BlobContent::Bytes("a picture".into()) };
            now.blobs.put_batch(&now.staging, vec![blob]).await.unwrap();
        }
        let restored = open_backends(folder.path(), db, "0 B").await;
        restored.check_accepts_upload(0).await.unwrap();
        let next = restored.records.admit(admission("mary")).await.unwrap().id;
        assert!(next.get() > lost[2], "{next} after {lost:?}");
        // No number is skipped if the records know all uploads that have blobs.
        let again = open_backends(folder.path(), db, "0 B").await;
        again.check_accepts_upload(0).await.unwrap();
        let following = again.records.admit(admission("mary")).await.unwrap().id;
        assert_eq!(following.get(), next.get() + 1);
        for backends in [now, restored, again] {
            backends.records.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn below_the_reserve_no_upload_is_taken() {
    on_both_engines(async |db| {
        let folder = tempfile::tempdir().unwrap();
        let plenty = open_backends(folder.path(), db, "1 KiB").await;
        plenty.check_accepts_upload(1000).await.unwrap();
        let refused = plenty.check_accepts_upload(1 << 60).await.unwrap_err();
        assert!(matches!(refused, BackendError::LowSpace(_)) && refused.is_transient(), "{refused}");
        assert_eq!(refused.probe_status(), "low on space");
        let low = open_backends(folder.path(), db, "1 EiB").await;
        low.check_accepts_upload(0).await.unwrap_err();
        // Existing work continues: the records answer, accept writes and are not reported as down.
        low.records.ping().await.unwrap();
        low.records.admit(admission("mary")).await.unwrap();
        let none = open_backends(folder.path(), db, "0 B").await;
        none.check_accepts_upload(1 << 60).await.unwrap();
        for backends in [plenty, low, none] {
            backends.records.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn each_backend_has_a_reserve_of_its_own() {
    on_both_engines(async |db| {
        let folder = tempfile::tempdir().unwrap();
        for (n, place) in ["staging", "blobs", "records"].into_iter().enumerate() {
            let mut reserves = ["0 B"; 3];
            reserves[n] = "1 EiB";
            let backends = open_with_reserves(folder.path(), db, reserves).await;
            match backends.check_accepts_upload(0).await {
                Err(BackendError::LowSpace(low)) => assert_eq!(low.backend, place),
                // The free space of a database server is not visible from here.
                taken => assert!(taken.is_ok() && place == "records" && db.url.starts_with("postgres"), "{taken:?}"),
            }
            backends.records.close().await.unwrap();
        }
    })
    .await;
}

/// Repeats a check until it holds.
async fn wait_until(holds: impl AsyncFn() -> bool) {
    let repeated = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // The next check of the disk is due within a second. The other four seconds allow for a busy machine.
    tokio::time::timeout(Duration::from_secs(5), repeated).await.unwrap();
}

#[tokio::test]
async fn records_report_a_full_disk_until_there_is_space() {
    let Some(small) = Tmpfs::new("16m") else { return };
    let url = format!("sqlite://{}", small.path().join("records.db").display());
    migrations::up(&url).await.unwrap();
    let db = TestDb::open_sqlite_at(url).await;
    let backends = open_backends(small.path(), &db, "0 B").await;
    backends.check_accepts_upload(0).await.unwrap();
    backends.records.ping().await.unwrap();
    let disk = FailingDisk::SmallFileSystem(small.path().to_owned());
    // Space for the page that a probe writes, but not for an upload.
    disk.leave_free(512 << 10);
    wait_until(async || matches!(backends.records.ping().await, Err(RecordsError::Full))).await;
    disk.free_all();
    wait_until(async || backends.records.ping().await.is_ok()).await;
    disk.leave_free(0);
    // Uploads are admitted until the write-ahead log has no unused space of its own left.
    let full = async {
        loop {
            if let Err(error) = backends.records.admit(admission("mary")).await {
                return error;
            }
        }
    };
    let full = full.await;
    assert!(matches!(full, RecordsError::Full), "{full}");
    let pinged = backends.records.ping().await.unwrap_err();
    assert!(matches!(pinged, RecordsError::Full), "{pinged}");
    // The worker uses this call for its probe and its circuit breaker.
    assert_eq!(backends.ping(Backend::Records).await.unwrap_err().probe_status(), "full");
    let refused = backends.check_accepts_upload(0).await.unwrap_err();
    assert_eq!(refused.probe_status(), "full");
    disk.free_all();
    wait_until(async || backends.check_accepts_upload(0).await.is_ok() && backends.records.ping().await.is_ok()).await;
    backends.records.admit(admission("mary")).await.unwrap();
    backends.records.close().await.unwrap();
    db.close().await;
}
