//! A write transaction.

use std::sync::Arc;

use sea_orm::DbErr;
use tokio::sync::OwnedSemaphorePermit;

use crate::database::Transaction;
use crate::write_check::WriteCheck;

/// A write transaction, with the write lock if the database needs one. Dropped uncommitted, it rolls back.
pub(crate) struct WriteTx {
    pub(crate) tx: Transaction,
    pub(crate) write_check: Option<Arc<WriteCheck>>,
    pub(crate) _write_lock: Option<OwnedSemaphorePermit>,
}

impl std::ops::Deref for WriteTx {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.tx
    }
}

impl WriteTx {
    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        let ended = self.tx.commit().await;
        if let Some(writes) = &self.write_check {
            writes.record(&ended);
        }
        ended
    }
}
