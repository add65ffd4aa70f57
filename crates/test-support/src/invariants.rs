//! Invariants that hold at the end of every test, whatever failed during it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use backends::Backends;
use domain::{Reason, UploadId, UploadState};
use futures::{StreamExt, TryStreamExt, stream};
use records::{Records, UploadStats};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, FromQueryResult, Statement};
use sha2::{Digest, Sha256};

use crate::engine_stack::EngineStack;

/// How many of the acknowledged uploads ended in each state, and the reason codes that occurred.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OutcomeCounts {
    pub ready: usize,
    pub rejected: usize,
    pub failed: usize,
    pub expired: usize,
    pub reasons: HashSet<String>,
}

#[derive(Debug, FromQueryResult)]
struct KeyRow {
    key: String,
}

/// The longest time without progress while something is in flight. The total time is not limited, because machines
/// differ.
const STALL_TIMEOUT: Duration = Duration::from_secs(120);

/// Waits until nothing is in flight.
async fn wait_until_idle(records: &Records) -> UploadStats {
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    let mut last = (0, 0, Instant::now());
    loop {
        tick.tick().await;
        let stats = records.stats().await.unwrap();
        let (accepted, jobs) = (stats.in_state(UploadState::Accepted), stats.queued_jobs);
        if (accepted, jobs) == (0, 0) {
            return stats;
        }
        if (accepted, jobs) != (last.0, last.1) {
            last = (accepted, jobs, Instant::now());
        }
        assert!(last.2.elapsed() < STALL_TIMEOUT, "something is in flight for ever: {stats:?}");
    }
}

/// Waits until nothing is in flight, sweeps as an operator would, and checks all invariants.
///
/// The processes must be running, because they bring the uploads to their final states.
pub async fn settle_and_check(stack: &EngineStack, acknowledged: &[String]) -> OutcomeCounts {
    let backends = stack.open_backends().await;
    let records = &backends.records;
    assert_every_upload_counted(&wait_until_idle(records).await, acknowledged);
    let swept = stack.command(&["sweep", "--once"]).env("CLOAKROOM__SWEEP__MIN_ORPHAN_AGE", "0s").output().unwrap();
    assert!(swept.status.success(), "{}", String::from_utf8_lossy(&swept.stderr));
    let ends = check_all_uploads(&backends, &stack.records, acknowledged).await;
    backends.queue.close().await;
    backends.records.close().await.unwrap();
    assert_eq!(ends.expired, 0, "an upload has expired");
    ends
}

/// Asserts that every admitted upload is in exactly one state.
pub fn assert_every_upload_counted(stats: &UploadStats, acknowledged: &[String]) {
    let sum: u64 = stats.states.values().sum();
    assert_eq!((stats.admitted, stats.unaccounted()), (sum, 0), "{stats:?}");
    assert!(stats.admitted >= acknowledged.len() as u64, "{stats:?}: an acknowledged upload is not in the records");
    assert_eq!(acknowledged.iter().collect::<HashSet<_>>().len(), acknowledged.len(), "a number was given twice");
}

/// Compares the records with staging and blobs, when nothing is in flight and everything has been swept:
/// - no bytes without a row, and no row without its bytes;
/// - no claim with two winners;
/// - the bytes of every acknowledged upload have the recorded digests.
pub async fn check_all_uploads(backends: &Backends, db: &DatabaseConnection, acknowledged: &[String]) -> OutcomeCounts {
    let records = &backends.records;
    assert_eq!(records.recount_usage().await.unwrap(), Vec::<String>::new(), "a user's counters are wrong");
    let staged: Vec<String> = backends.staging.list_older_than(jiff::Timestamp::MAX).try_collect().await.unwrap();
    let needed = records.needed_staged_keys(&staged).await.unwrap();
    assert_eq!(staged.len(), needed.len(), "orphans in staging");

    let mut ends = OutcomeCounts::default();
    let mut wanted: HashSet<String> = HashSet::new();
    let mut looking =
        stream::iter(acknowledged).map(|id| check_upload(backends, id.parse().unwrap())).buffer_unordered(32);
    while let Some((state, reason, keys)) = looking.next().await {
        match state {
            UploadState::Ready => ends.ready += 1,
            UploadState::Rejected => ends.rejected += 1,
            UploadState::Failed => ends.failed += 1,
            UploadState::Expired => ends.expired += 1,
            UploadState::Accepted => panic!("an upload is {state:?}"),
        }
        ends.reasons.extend(reason.map(|reason| reason.code.to_string()));
        wanted.extend(keys);
    }
    drop(looking);

    let keys = async |sql: &str| {
        let asked = KeyRow::find_by_statement(Statement::from_string(db.get_database_backend(), sql));
        asked.all(db).await.unwrap().into_iter().map(|row| row.key).collect::<Vec<_>>()
    };
    wanted.extend(
        keys("SELECT original_key AS key FROM uploads WHERE original_key IS NOT NULL AND state = 'ready'").await,
    );
    wanted.extend(keys("SELECT blob_key AS key FROM variants WHERE blob_key IS NOT NULL").await);
    let scheduled = keys("SELECT blob_prefix AS key FROM deletions").await;
    let blobs: Vec<String> = backends.blobs.list_keys().try_collect().await.unwrap();
    for blob in &blobs {
        let known = wanted.contains(blob) || scheduled.iter().any(|prefix| blob.starts_with(prefix));
        assert!(known, "{blob} belongs to no row and is not in the deletion queue");
    }
    // An object that is not in the bucket cannot be served.
    let existing: HashSet<&String> = blobs.iter().collect();
    assert!(wanted.iter().all(|key| existing.contains(key)), "a row's bytes are missing");
    let double_claims = "SELECT CAST(service || '/' || resource_id || '/' || upload_id AS TEXT) AS key FROM avatars
                 WHERE upload_id IS NOT NULL GROUP BY service, resource_id, upload_id HAVING count(*) > 1";
    assert_eq!(keys(double_claims).await, Vec::<String>::new(), "a claim had two winners");
    ends
}

/// The outcome of an upload and the keys of its blobs. Asserts that each blob exists and has the digest of its row.
async fn check_upload(backends: &Backends, id: UploadId) -> (UploadState, Option<Reason>, Vec<String>) {
    let upload = backends.records.upload(id).await.unwrap().expect("an acknowledged upload is in the records");
    let mut keys = Vec::new();
    if upload.state == UploadState::Ready {
        let original = upload.original_key.unwrap();
        let stored_digest = sha256_hex(&backends.blobs.read(&original).await.unwrap());
        assert_eq!(stored_digest, upload.sha256, "upload {id}: the original is not what was sent");
        keys.push(original);
        for variant in backends.records.variants(id, 0).await.unwrap() {
            let bytes = backends.blobs.read(&variant.key).await.unwrap();
            assert_eq!(sha256_hex(&bytes), variant.sha256, "upload {id}: {}", variant.name);
            keys.push(variant.key);
        }
    }
    (upload.state, upload.reason, keys)
}

/// SHA-256 in hex, by another library than the product uses.
pub fn sha256_hex(bytes: &[u8]) -> String {
    domain::hex(&Sha256::digest(bytes))
}

/// The result of an SQL query that returns one number.
pub async fn query_number(stack: &EngineStack, sql: &str) -> i64 {
    let row = stack.records.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// Waits until the query returns `answer`. Fails the test if that takes more than three minutes.
pub async fn wait_for_number(stack: &EngineStack, sql: &str, answer: i64) {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let reached = async {
        while query_number(stack, sql).await != answer {
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(180), reached).await.unwrap_or_else(|_| panic!("never {answer}: {sql}"));
}
