//! A write transaction.

use std::sync::Arc;

use sea_orm::{ConnAcquireErr, DbErr};
use tokio::sync::OwnedSemaphorePermit;

use crate::database::{Database, Transaction};
use crate::records::Records;
use crate::write_check::WriteCheck;

/// A write transaction, with the write lock if the database needs one. It rolls back if it is dropped without a commit.
pub(crate) struct WriteTx {
    pub(crate) tx: Transaction,
    write_check: Option<Arc<WriteCheck>>,
    _write_lock: Option<OwnedSemaphorePermit>,
}

impl Records {
    /// Begins a write transaction.
    pub(crate) async fn begin_write(&self) -> Result<WriteTx, DbErr> {
        let write_lock = self.write_lock().await?;
        Ok(WriteTx { tx: self.db.begin().await?, write_check: self.write_check.clone(), _write_lock: write_lock })
    }

    /// Takes the write lock, if the database needs one.
    pub(crate) async fn write_lock(&self) -> Result<Option<OwnedSemaphorePermit>, DbErr> {
        let (Some(write_lock), Database::Sqlite(_, limit)) = (&self.write_lock, &self.db) else { return Ok(None) };
        match tokio::time::timeout(*limit, Arc::clone(write_lock).acquire_owned()).await {
            Ok(permit) => Ok(Some(permit.map_err(|error| DbErr::Custom(error.to_string()))?)),
            Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
        }
    }
}

impl WriteTx {
    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        let ended = self.tx.commit().await;
        if let Some(write_check) = &self.write_check {
            write_check.record(&ended);
        }
        ended
    }
}
