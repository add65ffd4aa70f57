//! The opened records: what all their operations share.

use std::sync::Arc;

use domain::{Clock, Routing};
use instrument::{FailPoints, FreeSpace};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::sync::Semaphore;

use crate::database::Database;
use crate::error::RecordsError;
use crate::settings::RecordsSettings;
use crate::write_check::WriteCheck;
use crate::writing_operations::WRITING_OPERATIONS;
use crate::{connect, convert};

/// The records, opened. Clones share them.
#[derive(Clone, Debug)]
pub struct Records {
    pub(crate) db: Database,
    /// For SQLite: the lock of its only writer. It is a semaphore, because a semaphore is fair and SQLite's own busy
    /// loop is not.
    pub(crate) write_lock: Option<Arc<Semaphore>>,
    /// For SQLite: the state of the last write.
    pub(crate) write_check: Option<Arc<WriteCheck>>,
    /// For SQLite: the file system of its file.
    pub(crate) free_space: Option<FreeSpace>,
    clock: Clock,
    fail_points: FailPoints,
    pub(crate) routing: Routing,
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
        let write_check = sqlite.then(Arc::default);
        let space =
            connect::database_folder(settings)?.map(|folder| FreeSpace::new("records", folder, settings.min_free));
        let records =
            Self { db, write_lock, write_check, free_space: space, clock, fail_points, routing: Routing::default() };
        records.check_server().await?;
        Ok(records)
    }

    /// The same records, whose jobs go to `bulk` and `heavy` as `routing` says.
    pub fn with_routing(self, routing: Routing) -> Self {
        Self { routing, ..self }
    }

    /// Asks the database whether it takes writes and what time it is. The clock is synchronised to the database,
    /// because many machines share a PostgreSQL.
    async fn check_server(&self) -> Result<(), RecordsError> {
        let Database::Postgres(pool) = &self.db else {
            self.db.execute_unprepared("SELECT 1").await?;
            return Ok(());
        };
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, \
            current_setting('transaction_read_only') = 'on'";
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let Some(row) = pool.query(&statement).await?.into_iter().next() else { return Ok(()) };
        if row.try_get_by_index(1)? {
            return Err(pool.found_read_only().into());
        }
        let ahead = self.clock.synchronize(convert::timestamp(row.try_get_by_index(0)?));
        if ahead.abs() > 5_000 {
            tracing::warn!(ahead_ms = ahead, "this machine's clock differs from the database's clock, which is used");
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

    /// Runs one operation through the seam for fault injection and metrics.
    pub(crate) fn instrument<T>(
        &self,
        op: &'static str,
        operation: impl Future<Output = Result<T, RecordsError>>,
    ) -> impl Future<Output = Result<T, RecordsError>> {
        debug_assert!(WRITING_OPERATIONS.contains(&op), "{op} is not in WRITING_OPERATIONS");
        self.fail_points.instrument("records", op, operation)
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }
}
