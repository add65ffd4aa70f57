//! Checks whether the records take writes and keep their reserve of space.

use instrument::LowSpace;
use sea_orm::ConnectionTrait;

use crate::error::RecordsError;
use crate::records::Records;

/// With less free space than this, a probe of one page can succeed although the transaction of an upload would not.
const MIN_TRANSACTION_SPACE: u64 = 1 << 20;

impl Records {
    /// Checks whether the records can be written. Only SQLite is checked: by a write of one page at most every 5 s,
    /// and every 1 s after a refused write.
    pub(crate) async fn check_writable(&self) -> Result<(), RecordsError> {
        let Some(write_check) = &self.write_check else { return Ok(()) };
        if write_check.take_probe_due() {
            let probe = async {
                let _write_lock = self.write_lock().await?;
                self.db.execute_unprepared("PRAGMA user_version = 0").await.map(drop)
            };
            write_check.record(&probe.await);
        }
        if let Some(refused) = write_check.refusal() {
            return Err(refused.into());
        }
        match &self.free_space {
            Some(space) if space.free().await.is_some_and(|free| free < MIN_TRANSACTION_SPACE) => {
                Err(RecordsError::Full)
            }
            _ => Ok(()),
        }
    }

    /// As `check_writable`, for an upload that is about to arrive. Writes nothing unless the last
    /// write was refused.
    ///
    /// # Errors
    /// [`RecordsError::Full`] or [`RecordsError::NotWritable`].
    pub async fn check_accepts_writes(&self) -> Result<(), RecordsError> {
        match &self.write_check {
            Some(write_check) if write_check.refusal().is_some() => self.check_writable().await,
            _ => Ok(()),
        }
    }

    /// Checks that the file system of the records' file has its reserve of free space. Always succeeds for a database
    /// server.
    ///
    /// # Errors
    /// [`LowSpace`] if less space is free.
    pub async fn check_space(&self) -> Result<(), LowSpace> {
        match &self.free_space {
            Some(space) => space.check(0).await,
            None => Ok(()),
        }
    }
}
