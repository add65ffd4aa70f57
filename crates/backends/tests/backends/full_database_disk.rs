//! Tests SQLite on a disk that is full, or whose writes fail. The fault occurs once at each write of each operation of
//! an upload. Afterwards, what was acknowledged exists and what was refused does not. As soon as there is space, every
//! operation works again.
//!
//! The disk really fails, in one of two ways:
//! - A separate file system is filled up to a given number of free bytes, which SQLite reports as SQLITE_FULL.
//! - The file size of a separate process is limited, so that writes past the limit fail (SQLITE_IOERR).
//!
//! SQLite writes when it commits. With a page cache of a few pages it also writes inside a transaction, so that
//! statements fail as well as commits.

mod operations;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use domain::{ExpectedVersion, UploadId};
use records::{Admitted, Records, RecordsError};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use test_support::failing_disk::FailingDisk;
use test_support::test_db::{TestDb, admission};
use test_support::tmpfs::Tmpfs;

use operations::{OPERATIONS, mary, marys_resource};

/// The size of a page in the write-ahead log, in bytes: 4096 and a header of 24.
const WAL_FRAME_BYTES: u64 = 4120;
/// A number of writes that is higher than any operation makes.
const MAX_WRITES: u64 = 80;
/// Tells this program that it is a separate process, whose file size may be limited.
const FILE_LIMIT_VAR: &str = "CLOAKROOM_TEST_FILE_LIMIT";

struct FailingDiskWalk {
    db: TestDb,
    /// Records on another connection, through which only committed changes are visible.
    observer: Records,
    /// The connection that empties the write-ahead log. SQLite then writes the log from its
    /// beginning, where there is no space.
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
        let checkpoint = Database::connect(&url).await.unwrap();
        if let Some(pages) = cached_pages {
            checkpoint.execute_unprepared(&format!("PRAGMA default_cache_size = {pages}")).await.unwrap();
        }
        let db = TestDb::open_sqlite_at(url).await;
        let observer = TestDb::reopen(&db.url, &db.clock).await;
        let wal = folder.join("records.db-wal");
        Self { db, observer, checkpoint, wal, disk, admitted_ids: Mutex::default(), errors: Mutex::default() }
    }

    /// Runs an operation with this number of free bytes. None if it failed.
    async fn run_with_free_space<T>(
        &self,
        free_bytes: u64,
        operation: impl Future<Output = Result<T, RecordsError>>,
    ) -> Option<T> {
        // A connection that is still busy prevents the log from being emptied.
        while self.wal.metadata().unwrap().len() > 0 {
            // The SELECT comes first, because a connection that has not read since the log was created does not know of
            // the log.
            let empty_log = "SELECT count(*) FROM users; PRAGMA wal_checkpoint(TRUNCATE)";
            self.checkpoint.execute_unprepared(empty_log).await.unwrap();
        }
        self.disk.leave_free(free_bytes);
        let result = operation.await;
        self.disk.free_all();
        result.map_err(|error| self.errors.lock().unwrap().push(error)).ok()
    }

    /// Asserts that an admitted upload exists under a new number, and that a refused upload does not exist.
    async fn check_admitted(&self, key: &str, admitted: Option<&Admitted>) {
        let needed = self.observer.needed_staged_keys(&[key.to_owned()]).await.unwrap();
        assert_eq!(needed.len(), usize::from(admitted.is_some()), "{key}");
        if let Some(admitted) = admitted {
            assert!(self.admitted_ids.lock().unwrap().insert(admitted.id), "{} was given twice", admitted.id);
            assert_eq!(self.observer.upload(admitted.id).await.unwrap().unwrap().staged_key, key);
        }
    }

    /// Asserts that there is space again: a transaction that is rolled back succeeds, and so does one that is
    /// committed.
    async fn check_recovered(&self) {
        let (unknown_upload, mary) = (999_999_999.try_into().unwrap(), mary());
        self.db
            .records
            .claim(unknown_upload, &marys_resource(), &mary, None, ExpectedVersion::Any)
            .await
            .unwrap()
            .unwrap_err();
        let upload = admission("mary");
        let key = upload.staged.key.clone();
        let admitted = self.db.records.admit(upload).await.unwrap();
        self.check_admitted(&key, Some(&admitted)).await;
    }

    /// Runs each operation with space for no write, for one write, and so on until it succeeds.
    async fn run_all(self) {
        for op in OPERATIONS {
            let mut failures = 0;
            let mut free_bytes = 0;
            while !Box::pin(self.step(op, free_bytes)).await {
                self.check_recovered().await;
                failures += 1;
                free_bytes = failures * WAL_FRAME_BYTES;
                assert!(failures < MAX_WRITES, "{op:?} never succeeds: {:?}", self.errors.lock().unwrap().last());
            }
            self.check_recovered().await;
            assert!(failures > 0, "{op:?} was not made to fail");
        }
        // Everything that was acknowledged also exists for a process that is started later.
        let later = TestDb::reopen(&self.db.url, &self.db.clock).await;
        let admitted_ids = self.admitted_ids.lock().unwrap().clone();
        for id in admitted_ids {
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
async fn records_lose_nothing_on_a_full_disk() {
    for cached_pages in [None, Some(10)] {
        let Some(small) = Tmpfs::new("16m") else { return };
        let disk = FailingDisk::SmallFileSystem(small.path().to_owned());
        FailingDiskWalk::on(disk, small.path(), cached_pages).await.run_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_lose_nothing_on_a_disk_whose_writes_fail() {
    if std::env::var_os(FILE_LIMIT_VAR).is_none() {
        // A write past the limit sends SIGXFSZ, which would end the process. A signal that the shell ignores stays
        // ignored in the program.
        let script = r#"trap "" XFSZ; exec "$0" --exact "$1" --nocapture"#;
        let (_, module) = module_path!().split_once("::").unwrap();
        let mut limited = Command::new("sh");
        limited.arg("-c").arg(script).arg(std::env::current_exe().unwrap());
        limited.arg(format!("{module}::records_lose_nothing_on_a_disk_whose_writes_fail"));
        let output = limited.env(FILE_LIMIT_VAR, "1").output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
        return;
    }
    for cached_pages in [None, Some(10)] {
        let folder = tempfile::tempdir().unwrap();
        FailingDiskWalk::on(FailingDisk::FileSizeLimit, folder.path(), cached_pages).await.run_all().await;
    }
}
