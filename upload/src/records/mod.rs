//! The fourth place: the truth. What is written here happened; what is not, did not.
//!
//! One folder of verbs: `admit` takes an upload in, `attempt` hands its job to a worker, `settle` ends it, `variants`
//! adds renderings, `crop` changes what they show, `claim` gives it to somebody, `expire` and `ledger` throw away what nobody claimed, `outbox` finds
//! what the queue forgot, `history` tells the way it went, `jobs` shows promises and
//! dead letters to people, `principals` counts what each user has in flight and stored, `people` says who may, `sessions` keeps logins until they end, `files` keeps files and their renditions, `once` remembers answers. Each verb is one transaction, and each
//! compare-and-set names in its filter what must still be so. The same code runs on SQLite and PostgreSQL.

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

/// Where the records are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsSettings {
    /// `sqlite:///a/file.db` or `postgres://user:password@host/database`; empty means a file in the data directory.
    pub url: Secret,
    /// The most connections to hold open.
    pub max_connections: u32,
    /// For SQLite: free space on its file system below which uploads are refused. 0 refuses none.
    pub min_free: ByteSize,
    /// How long one call may take; then its connection is given up.
    #[serde(with = "human")]
    pub timeout: Duration,
    /// What stands between this process and PostgreSQL.
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
    /// The settings for a database, with the defaults for everything else but the reserve, which is none.
    pub fn new(url: Secret, max_connections: u32) -> Self {
        let timeout = Duration::from_secs(10);
        Self { url, max_connections, min_free: ByteSize::b(0), timeout, pooler: Pooler::None }
    }

    /// Looks at them without opening anything.
    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        self.database_url()?;
        let short = self.timeout < Duration::from_secs(1);
        InvalidSetting::require(!short, "records.timeout", format_args!("{:?}", self.timeout), "write 1s or more")?;
        InvalidSetting::require_positive([("records.max_connections", self.max_connections.into())])
    }
}

/// What can go wrong with the records.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The database did not do it.
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
    /// A newer version of the program has been here.
    #[error(transparent)]
    UnknownValue(#[from] UnknownValue),
    /// A row says what no version of the program writes.
    #[error("records: {0}")]
    CorruptRow(String),
    /// A request's hold of its idempotency key ended, and another request took the key.
    #[error("records: another request holds this idempotency key by now")]
    KeyLost,
    /// A test made it fail.
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
    /// SQLite has one writer at a time; taking turns here is fair, its own busy loop is not.
    write_lock: Option<Arc<Semaphore>>,
    /// For SQLite: what is known of writing.
    write_check: Option<Arc<WriteCheck>>,
    /// For SQLite: the file system of its file.
    free_space: Option<FreeSpace>,
    clock: Clock,
    fail_points: FailPoints,
    routing: Routing,
}

/// A writing transaction, with its turn where turns are taken. Dropped uncommitted, it rolls back.
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
    /// Opens the database at the address in the settings. The schema is expected to be there (`migrations`).
    ///
    /// # Errors
    /// Where it cannot be reached.
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

    /// Asks the database whether it takes writes and, since many machines share a PostgreSQL, what time it is; our clock
    /// goes by its.
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

    /// The clock that the records go by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether the place answers and takes writes. It also keeps our clock with the database's.
    ///
    /// # Errors
    /// The database's, where it does not.
    pub async fn ping(&self) -> Result<(), RecordsError> {
        self.check_server().await?;
        self.check_writable().await
    }

    /// Keeps our clock with the database's, for the sweeper. It says nothing about the writes of SQLite, because what is
    /// left to sweep can be what makes room.
    ///
    /// # Errors
    /// The database's, if it does not answer, or is a server that takes no writes.
    pub async fn synchronize_clock(&self) -> Result<(), RecordsError> {
        self.check_server().await
    }

    /// Closes the connections once what is under way has ended.
    ///
    /// # Errors
    /// The database's.
    pub async fn close(self) -> Result<(), RecordsError> {
        Ok(self.db.close().await?)
    }

    /// The turn to write, where turns are taken, for a verb that is a single statement.
    async fn write_lock(&self) -> Result<Option<OwnedSemaphorePermit>, DbErr> {
        let (Some(turn), Database::Sqlite(_, limit)) = (&self.write_lock, &self.db) else { return Ok(None) };
        match tokio::time::timeout(*limit, Arc::clone(turn).acquire_owned()).await {
            Ok(write_lock) => Ok(Some(write_lock.map_err(|error| DbErr::Custom(error.to_string()))?)),
            Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
        }
    }

    /// Begins a writing transaction.
    async fn begin_write(&self) -> Result<WriteTx, DbErr> {
        let write_lock = self.write_lock().await?;
        Ok(WriteTx { tx: self.db.begin().await?, write_check: self.write_check.clone(), _write_lock: write_lock })
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }
}

/// A length of time as the tables count it.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
