//! SQLite on a disk that is full, or whose writes fail, at each write of each operation on an upload's way. What was
//! acknowledged is there afterwards, what was refused is not, and as soon as there is room everything goes on.
//!
//! The disk fails for real. A file system of its own is filled up to so many bytes, which SQLite answers with SQLITE_FULL;
//! or the size of files is limited for a process of its own, whose writes past the limit fail (SQLITE_IOERR). SQLite writes
//! when it commits; with a page cache of a few pages it also writes in the middle of a transaction, so that statements fail
//! as well as commits.

mod operations;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use upload::{Admitted, Records, RecordsError, UploadId};

use crate::failing_disk::{FailingDisk, MountedTmpfs};
use crate::test_db::{TestDb, admission};
use operations::{OPERATIONS, WalkOperation, group_resource, mary};

/// A page in the write-ahead log: 4096 bytes and a header of 24.
const WAL_FRAME_BYTES: u64 = 4120;
/// More writes than any operation makes.
const MAX_WRITES: u64 = 80;
/// Says to this program that its files may be limited: it is a process of its own.
const FILE_LIMIT_VAR: &str = "CLOAKROOM_TEST_FILE_LIMIT";

struct FailingDiskWalk {
    db: TestDb,
    /// Records that see what is committed, and nothing else.
    observer: Records,
    /// To empty the write-ahead log: it is written from its beginning then, where there is no room.
    checkpoint: DatabaseConnection,
    wal: PathBuf,
    disk: FailingDisk,
    admitted_ids: Mutex<HashSet<UploadId>>,
    errors: Mutex<Vec<RecordsError>>,
}

impl FailingDiskWalk {
    async fn on(disk: FailingDisk, folder: &Path, cached_pages: Option<u32>) -> Self {
        let url = format!("sqlite://{}", folder.join("records.db").display());
        migrations::up(&url).await.unwrap();
        let log = Database::connect(&url).await.unwrap();
        if let Some(pages) = cached_pages {
            log.execute_unprepared(&format!("PRAGMA default_cache_size = {pages}")).await.unwrap();
        }
        let db = TestDb::open_sqlite_at(url).await;
        let seen = TestDb::reopen(&db.url, &db.clock).await;
        let wal = folder.join("records.db-wal");
        Self {
            db,
            observer: seen,
            checkpoint: log,
            wal,
            disk,
            admitted_ids: Mutex::default(),
            errors: Mutex::default(),
        }
    }

    /// Does something with so many bytes of room; None if it failed.
    async fn run_with_free_space<T>(&self, room: u64, act: impl Future<Output = Result<T, RecordsError>>) -> Option<T> {
        // A connection that is still busy keeps the log from being emptied.
        while self.wal.metadata().unwrap().len() > 0 {
            // The look comes first: a connection that has not read since the log was begun knows of no log.
            let empty = "SELECT count(*) FROM users; PRAGMA wal_checkpoint(TRUNCATE)";
            self.checkpoint.execute_unprepared(empty).await.unwrap();
        }
        self.disk.leave_free(room);
        let done = act.await;
        self.disk.free_all();
        done.map_err(|error| self.errors.lock().unwrap().push(error)).ok()
    }

    /// What was admitted is there under a number that was never given; what was refused is not.
    async fn check_admitted(&self, key: &str, admitted: Option<&Admitted>) {
        let needed = self.observer.needed_staged_keys(&[key.to_owned()]).await.unwrap();
        assert_eq!(needed.len(), usize::from(admitted.is_some()), "{key}");
        if let Some(admitted) = admitted {
            assert!(self.admitted_ids.lock().unwrap().insert(admitted.id), "{} was given twice", admitted.id);
            assert_eq!(self.observer.upload(admitted.id).await.unwrap().unwrap().staged_key, key);
        }
    }

    /// There is room: a transaction that is rolled back goes well, and so does one that is committed.
    async fn check_recovered(&self) {
        let (nothing, mary) = (999_999_999.try_into().unwrap(), mary());
        self.db.records.claim(nothing, &group_resource(), &mary).await.unwrap().unwrap_err();
        let upload = admission("mary");
        let key = upload.staged.key.clone();
        let admitted = self.db.records.admit(upload).await.unwrap();
        self.check_admitted(&key, Some(&admitted)).await;
    }

    /// Each operation with room for no write, for one, and so on until it goes well.
    async fn run_all(self) {
        for op in OPERATIONS {
            let mut failures = 0;
            let mut room = 0;
            while !Box::pin(self.step(op, room)).await {
                self.check_recovered().await;
                failures += 1;
                room = failures * WAL_FRAME_BYTES;
                assert!(failures < MAX_WRITES, "{op:?} never goes well: {:?}", self.errors.lock().unwrap().last());
            }
            self.check_recovered().await;
            assert!(failures > 0, "{op:?} was not made to fail");
        }
        // All that was ever acknowledged, by a process that was not there.
        let later = TestDb::reopen(&self.db.url, &self.db.clock).await;
        let given = self.admitted_ids.lock().unwrap().clone();
        for id in given {
            later.upload(id).await.unwrap().unwrap();
        }
        let errors = self.errors.lock().unwrap();
        match self.disk {
            FailingDisk::SmallFileSystem(_) => assert!(errors.iter().any(|error| matches!(error, RecordsError::Full))),
            FailingDisk::FileSizeLimit => {
                assert!(errors.iter().any(|error| matches!(error, RecordsError::NotWritable(_))))
            }
        }
        assert!(errors.iter().all(RecordsError::is_transient));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk() {
    for cached_pages in [None, Some(10)] {
        let Some(small) = MountedTmpfs::new("16m") else { return };
        let disk = FailingDisk::SmallFileSystem(small.path().to_owned());
        FailingDiskWalk::on(disk, small.path(), cached_pages).await.run_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_disk_whose_writes_fail() {
    if std::env::var_os(FILE_LIMIT_VAR).is_none() {
        // The signal that comes with a write past the limit would end the process; what is ignored stays ignored.
        let again = r#"trap "" XFSZ; exec "$0" --exact full_disk::on_a_disk_whose_writes_fail --nocapture"#;
        let program = std::env::current_exe().unwrap();
        let ended = Command::new("sh").arg("-c").arg(again).arg(program).env(FILE_LIMIT_VAR, "1").output().unwrap();
        assert!(
            ended.status.success(),
            "{}",
            String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr)
        );
        return;
    }
    for cached_pages in [None, Some(10)] {
        let folder = tempfile::tempdir().unwrap();
        FailingDiskWalk::on(FailingDisk::FileSizeLimit, folder.path(), cached_pages).await.run_all().await;
    }
}
