//! The records: the database, and the source of truth.
//!
//! Each submodule is one group of operations:
//!
//! - `admit` inserts uploads, `attempt` leases their jobs to workers, and `settle` ends attempts;
//! - `variants` looks variants up and requests them, `crop` changes what they show, and `claim` assigns a picture;
//! - `expire` ends what was not claimed or not settled in time, and `deletions` is the queue of blobs to delete;
//! - `outbox` publishes what the queue lost, and `jobs` shows jobs to operators;
//! - `stats` counts, and `usage` counts what each principal has in flight and stored;
//! - `users`, `sessions` and `files` hold what their names say, and `idempotency` remembers answers.
//!
//! Each operation is one transaction. Each compare-and-set names in its filter what must still be so. The same code
//! runs on SQLite and PostgreSQL. Any operation can fail with a database error.

mod admit;
mod attempt;
mod avatars;
mod claim;
mod commit;
mod connect;
mod convert;
mod crop;
mod database;
mod deletions;
mod entity;
mod error_class;
mod expire;
mod files;
mod idempotency;
mod jobs;
mod outbox;
mod resource_registration;
mod resources;
mod sessions;
mod settle;
mod stats;
mod unclaimed_usage;
mod upload_ids;
mod usage;
mod users;
mod variants;
mod write_check;

use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as human;
use sea_orm::{ConnAcquireErr, ConnectionTrait, DbBackend, DbErr, Statement};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;
use crate::error_chain::chain;
use crate::fault_injection::{FailPoints, InjectedFault};
use crate::free_space::FreeSpace;
use crate::invalid_setting::InvalidSetting;
use crate::job::Routing;
use crate::secret::Secret;
use crate::upload::UnknownValue;
pub use admit::{Admission, Admitted};
pub use attempt::{Attempt, LeaseResult};
pub use claim::{ClaimRefusal, Claimant};
use connect::WriteRefusal;
pub use crop::CropRefusal;
use database::{Database, Transaction};
pub use deletions::BlobDeletion;
pub use files::FileAdmission;
pub use jobs::JobRow;
pub use outbox::{DueMessage, PublishAttempt};
pub use sessions::SessionRow;
pub use settle::{PictureInfo, ProcessedUpload, SettleResult};
pub use stats::UploadStats;
pub use unclaimed_usage::UnclaimedUsage;
pub use usage::Usage;
pub use users::{Role, SigningKey, User};
pub use variants::VariantStatus;
use write_check::WriteCheck;

/// Settings of the records.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsSettings {
    /// `sqlite:///a/file.db` or `postgres://user:password@host/database`; empty means a file in the data directory.
    pub url: Secret,
    /// Maximum number of open connections.
    pub max_connections: u32,
    /// For SQLite: free space on its file system below which uploads are refused. 0 refuses none.
    pub min_free: ByteSize,
    /// Maximum duration of one call; after that its connection is discarded.
    #[serde(with = "human")]
    pub timeout: Duration,
    /// The pooler between this process and PostgreSQL.
    pub pooler: Pooler,
}

/// A pooler in front of PostgreSQL, as far as its clients must know of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooler {
    /// None, or one that gives a client the same server for as long as its connection lives (session mode).
    #[default]
    None,
    /// One that may give a client another server for each transaction, as PgBouncer in transaction mode.
    Transaction,
}

impl RecordsSettings {
    /// Settings for a database at `url`. Everything else has its default, except the reserve, which is 0.
    pub fn new(url: Secret, max_connections: u32) -> Self {
        let timeout = Duration::from_secs(10);
        Self { url, max_connections, min_free: ByteSize::b(0), timeout, pooler: Pooler::None }
    }

    /// Checks the settings without opening anything.
    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        self.database_url()?;
        let short = self.timeout < Duration::from_secs(1);
        InvalidSetting::require(!short, "records.timeout", format_args!("{:?}", self.timeout), "write 1s or more")?;
        InvalidSetting::require_positive([("records.max_connections", self.max_connections.into())])
    }
}

/// An error of the records.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The database failed.
    #[error("records: {}", chain(.0))]
    Database(DbErr),
    /// The disk of the database is full.
    #[error("records are full: free room or give them more")]
    Full,
    /// The database answers and does not take writes: its disk fails, or it is a standby or set to read-only.
    #[error("records cannot be written: {}", chain(.0))]
    NotWritable(#[source] DbErr),
    /// The connection was lost while the database committed, and the outcome could not be looked up afterwards.
    #[error("records: it is not known whether this was written: {}", chain(.0))]
    OutcomeUnknown(#[source] DbErr),
    /// A newer version of the program wrote to the database.
    #[error(transparent)]
    UnknownValue(#[from] UnknownValue),
    /// A row has a value that no version of the program writes.
    #[error("records: {0}")]
    CorruptRow(String),
    /// A request's hold of its idempotency key ended, and another request took the key.
    #[error("records: another request holds this idempotency key by now")]
    KeyLost,
    /// A fault injected by a test.
    #[error(transparent)]
    InjectedFault(#[from] InjectedFault),
}

impl From<DbErr> for RecordsError {
    fn from(error: DbErr) -> Self {
        match connect::write_refusal(&error) {
            Some(WriteRefusal::Full) => Self::Full,
            Some(WriteRefusal::NotWritable) => Self::NotWritable(error),
            None => Self::Database(error),
        }
    }
}

impl RecordsError {
    /// Whether trying again later can help: a refused connection can, a row we cannot read cannot.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::UnknownValue(_) | Self::CorruptRow(_) | Self::KeyLost)
    }

    /// Whether the operation may have happened in spite of this error.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::OutcomeUnknown(_) | Self::InjectedFault(_))
    }
}

/// The records, opened. Clones share them.
#[derive(Clone, Debug)]
pub struct Records {
    db: Database,
    /// SQLite has one writer at a time. A semaphore is fair; SQLite's own busy loop is not.
    write_lock: Option<Arc<Semaphore>>,
    /// For SQLite: the state of the last write.
    write_check: Option<Arc<WriteCheck>>,
    /// For SQLite: the file system of its file.
    free_space: Option<FreeSpace>,
    clock: Clock,
    fail_points: FailPoints,
    routing: Routing,
}

/// A write transaction, with the write lock if the database needs one. Dropped uncommitted, it rolls back.
struct WriteTx {
    tx: Transaction,
    write_check: Option<Arc<WriteCheck>>,
    _write_lock: Option<OwnedSemaphorePermit>,
}

impl std::ops::Deref for WriteTx {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.tx
    }
}

impl WriteTx {
    async fn commit(self) -> Result<(), DbErr> {
        let ended = self.tx.commit().await;
        if let Some(writes) = &self.write_check {
            writes.record(&ended);
        }
        ended
    }
}

impl Records {
    /// Opens the database at the address in the settings. The schema must exist already (`migrations`).
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn open(settings: &RecordsSettings, clock: Clock, fail_points: FailPoints) -> Result<Self, RecordsError> {
        let db = connect::connect(settings).await?;
        let sqlite = db.get_database_backend() == DbBackend::Sqlite;
        let write_lock = sqlite.then(|| Arc::new(Semaphore::new(1)));
        let writes = sqlite.then(Arc::default);
        let space =
            connect::database_folder(settings)?.map(|folder| FreeSpace::new("records", folder, settings.min_free));
        let records = Self {
            db,
            write_lock,
            write_check: writes,
            free_space: space,
            clock,
            fail_points,
            routing: Routing::default(),
        };
        records.check_server().await?;
        Ok(records)
    }

    /// The same records, whose jobs go to `bulk` and `heavy` as `routing` says.
    pub(crate) fn with_routing(self, routing: Routing) -> Self {
        Self { routing, ..self }
    }

    /// Asks the database whether it takes writes and what time it is. The clock is synchronised to the database,
    /// because many machines share a PostgreSQL.
    async fn check_server(&self) -> Result<(), RecordsError> {
        let Database::Postgres(pool) = &self.db else {
            self.db.execute_unprepared("SELECT 1").await?;
            return Ok(());
        };
        let asked = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, \
            current_setting('transaction_read_only') = 'on'";
        let asked = Statement::from_string(DbBackend::Postgres, asked);
        let Some(row) = pool.query(&asked).await?.into_iter().next() else { return Ok(()) };
        if row.try_get_by_index(1)? {
            return Err(pool.found_read_only().into());
        }
        let ahead = self.clock.synchronize(convert::timestamp(row.try_get_by_index(0)?));
        if ahead.abs() > 5_000 {
            tracing::warn!(ahead_ms = ahead, "this machine's clock differs from the database's, which counts");
        }
        Ok(())
    }

    /// The clock of the records.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Checks that the database answers and takes writes. Also synchronises the clock to the database.
    ///
    /// # Errors
    /// Any database error.
    pub async fn ping(&self) -> Result<(), RecordsError> {
        self.check_server().await?;
        self.check_writable().await
    }

    /// Synchronises the clock to the database, for the sweeper. It does not check writes to SQLite, because the
    /// sweeper's deletions can be what makes room.
    ///
    /// # Errors
    /// If the database does not answer, or is a server that takes no writes.
    pub async fn synchronize_clock(&self) -> Result<(), RecordsError> {
        self.check_server().await
    }

    /// Closes the connections once the operations under way have ended.
    ///
    /// # Errors
    /// Any database error.
    pub async fn close(self) -> Result<(), RecordsError> {
        Ok(self.db.close().await?)
    }

    /// Takes the write lock, if the database needs one, for an operation that is a single statement.
    async fn write_lock(&self) -> Result<Option<OwnedSemaphorePermit>, DbErr> {
        let (Some(turn), Database::Sqlite(_, limit)) = (&self.write_lock, &self.db) else { return Ok(None) };
        match tokio::time::timeout(*limit, Arc::clone(turn).acquire_owned()).await {
            Ok(write_lock) => Ok(Some(write_lock.map_err(|error| DbErr::Custom(error.to_string()))?)),
            Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
        }
    }

    /// Begins a write transaction.
    async fn begin_write(&self) -> Result<WriteTx, DbErr> {
        let write_lock = self.write_lock().await?;
        Ok(WriteTx { tx: self.db.begin().await?, write_check: self.write_check.clone(), _write_lock: write_lock })
    }

    /// Runs one operation through the seam for fault injection and metrics.
    fn instrument<T>(
        &self,
        op: &'static str,
        operation: impl Future<Output = Result<T, RecordsError>>,
    ) -> impl Future<Output = Result<T, RecordsError>> {
        self.fail_points.instrument("records", op, operation)
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }
}

/// A duration in milliseconds, as the tables store it.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
