//! Writing operations. Each public operation that writes is one call of [`Records::write`],
//! [`Records::write_with_lookup`] or [`Records::write_statement`] under the name of the method. An operation that is a
//! part of others is a method of [`WriteTx`].

use crate::commit::CommitLookup;
use crate::database::Database;
use crate::error::RecordsError;
use crate::records::Records;
use crate::write_tx::WriteTx;

/// How an operation ends its transaction, with its result.
pub(crate) enum TxEnd<T> {
    /// What it wrote is kept.
    Commit(T),
    /// What it wrote is undone: the operation was refused, or there was nothing to do.
    Rollback(T),
}

impl Records {
    /// Runs one operation in a write transaction, through the seam for fault injection and metrics.
    pub(crate) async fn write<T>(
        &self,
        op: &'static str,
        operation: impl AsyncFnOnce(&WriteTx) -> Result<TxEnd<T>, RecordsError>,
    ) -> Result<T, RecordsError> {
        self.instrument(op, async {
            let tx = self.begin_write().await?;
            match operation(&tx).await? {
                TxEnd::Commit(result) => {
                    tx.commit().await?;
                    Ok(result)
                }
                TxEnd::Rollback(result) => Ok(result),
            }
        })
        .await
    }

    /// As [`write`](Self::write), for an operation that must not report a failure although its commit has happened (see
    /// `commit`). If the commit fails, its outcome is looked up. The operation returns its result and the key to look
    /// it up by; without a key the transaction is rolled back.
    pub(crate) async fn write_with_lookup<T, L: CommitLookup>(
        &self,
        op: &'static str,
        operation: impl AsyncFnOnce(&WriteTx) -> Result<(T, Option<L>), RecordsError>,
    ) -> Result<T, RecordsError> {
        self.instrument(op, async {
            let tx = self.begin_write().await?;
            let (result, lookup) = operation(&tx).await?;
            if let Some(lookup) = lookup {
                self.commit_or_look_up(tx, lookup).await?;
            }
            Ok(result)
        })
        .await
    }

    /// Runs an operation that writes by one statement, which needs no transaction of its own, through the seam. The
    /// write lock is held meanwhile if the database needs one.
    pub(crate) async fn write_statement<T>(
        &self,
        op: &'static str,
        operation: impl AsyncFnOnce(&Database) -> Result<T, RecordsError>,
    ) -> Result<T, RecordsError> {
        self.instrument(op, async {
            let _write_lock = self.write_lock().await?;
            operation(&self.db).await
        })
        .await
    }
}
