//! The fourth place: the truth. What is written here happened; what is not, did not.
//!
//! One folder of verbs: `admit` takes an upload in, `attempt` hands its job to a worker, `settle` ends it, `variants`
//! adds renderings, `crop` changes what they show, `claim` gives it to somebody, `expire` and `ledger` throw away what nobody claimed, `outbox` finds
//! what the queue forgot, `history` tells the way it went, `jobs` shows promises and
//! dead letters to people, `people` says who may, `files` keeps files and their renditions, `once` remembers answers. Each verb is one transaction, and each
//! compare-and-set names in its filter what must still be so. The same code runs on SQLite and PostgreSQL.

mod admit;
mod attempt;
mod avatars;
mod claim;
mod connect;
mod crop;
mod entity;
mod expire;
mod files;
mod history;
mod jobs;
mod ledger;
mod once;
mod outage;
mod outbox;
mod people;
mod register;
mod resources;
mod rows;
mod settle;
mod unclaimed;
mod variants;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode,
    SqlxPostgresConnector, SqlxSqliteConnector, Statement, TransactionOptions, TransactionTrait,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;
use crate::faults::{Faults, Struck};
use crate::secret::Secret;
use crate::setting::WrongSetting;
use crate::upload::UnknownWord;
pub use admit::{Admission, Admitted};
pub use attempt::{Attempt, Start};
pub use claim::{ClaimRefused, Claimant};
pub use crop::CropRefused;
pub use files::FileAdmission;
pub use history::Census;
pub use jobs::JobRow;
pub use ledger::Condemned;
pub use outbox::{Publish, Unpublished};
pub use people::{Role, SigningKey, User};
pub use settle::{Made, Settled, Shown};
pub use unclaimed::Unclaimed;
pub use variants::Wanted;

/// Where the records are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsSettings {
    /// `sqlite:///a/file.db` or `postgres://user:password@host/database`; empty means a file in the data directory.
    pub url: Secret,
    /// The most connections to hold open.
    pub max_connections: u32,
}

impl RecordsSettings {
    /// Looks at them without opening anything.
    pub(crate) fn check(&self) -> Result<(), WrongSetting> {
        let url = self.url.expose();
        let known = SqlxSqliteConnector::accepts(url) || SqlxPostgresConnector::accepts(url);
        let allowed = "write sqlite:///a/file.db or postgres://user:password@host/database";
        WrongSetting::unless(known, "records.url", format_args!("\"{}\"", self.url), allowed)?;
        WrongSetting::unless_counts([("records.max_connections", self.max_connections.into())])
    }
}

/// What can go wrong with the records.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The database did not do it.
    #[error("records: {0}")]
    Database(#[from] DbErr),
    /// A newer version of the program has been here.
    #[error(transparent)]
    Word(#[from] UnknownWord),
    /// A row says what no version of the program writes.
    #[error("records: {0}")]
    Row(String),
    /// A test made it fail.
    #[error(transparent)]
    Struck(#[from] Struck),
}

impl RecordsError {
    /// Whether trying again later can help: a refused connection can, a row we cannot read cannot.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Database(_) | Self::Struck(_))
    }
}

/// The records, opened. Clones share them.
#[derive(Clone, Debug)]
pub struct Records {
    db: DatabaseConnection,
    /// SQLite has one writer at a time; taking turns here is fair, its own busy loop is not.
    turn: Option<Arc<Semaphore>>,
    clock: Clock,
    faults: Faults,
}

/// A writing transaction, with its turn where turns are taken. Dropped uncommitted, it rolls back.
struct Writing {
    tx: DatabaseTransaction,
    _turn: Option<OwnedSemaphorePermit>,
}

impl std::ops::Deref for Writing {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.tx
    }
}

impl Writing {
    async fn commit(self) -> Result<(), DbErr> {
        self.tx.commit().await
    }
}

impl Records {
    /// Opens the database at the address in the settings. The schema is expected to be there (`migrations`).
    ///
    /// # Errors
    /// Where it cannot be reached.
    pub async fn open(settings: &RecordsSettings, clock: Clock, faults: Faults) -> Result<Self, RecordsError> {
        let db = connect::connect(settings).await?;
        let turn = (db.get_database_backend() == DbBackend::Sqlite).then(|| Arc::new(Semaphore::new(1)));
        let records = Self { db, turn, clock, faults };
        records.agree_on_time().await?;
        Ok(records)
    }

    /// Goes by the database's clock where many machines share it.
    async fn agree_on_time(&self) -> Result<(), DbErr> {
        if self.db.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let asked = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let Some(row) = self.db.query_one_raw(Statement::from_string(DbBackend::Postgres, asked)).await? else {
            return Ok(());
        };
        let truth = rows::at(row.try_get_by_index(0)?);
        let ahead = self.clock.correct(truth);
        if ahead.abs() > 5_000 {
            tracing::warn!(ahead_ms = ahead, "this machine's clock differs from the database's, which counts");
        }
        Ok(())
    }

    /// The clock that the records go by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether the place answers. Asked now and then, as the sweeper does, it also keeps our clock with the database's.
    ///
    /// # Errors
    /// The database's, where it does not.
    pub async fn ping(&self) -> Result<(), RecordsError> {
        Ok(self.agree_on_time().await.and(self.db.ping().await)?)
    }

    /// Closes the connections once what is under way has ended.
    ///
    /// # Errors
    /// The database's.
    pub async fn close(self) -> Result<(), RecordsError> {
        Ok(self.db.close().await?)
    }

    /// The turn to write, where turns are taken, for a verb that is a single statement.
    async fn turn(&self) -> Result<Option<OwnedSemaphorePermit>, DbErr> {
        match &self.turn {
            Some(turn) => {
                Ok(Some(Arc::clone(turn).acquire_owned().await.map_err(|error| DbErr::Custom(error.to_string()))?))
            }
            None => Ok(None),
        }
    }

    /// Begins a writing transaction. Immediate on SQLite, where one that reads first and writes later can fail halfway.
    async fn write(&self) -> Result<Writing, DbErr> {
        let turn = self.turn().await?;
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(Writing { tx: self.db.begin_with_options(options).await?, _turn: turn })
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }
}

/// A length of time as the tables count it.
fn span(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
