//! Deletes a file and restores it.
//!
//! A deletion changes the row of the file and nothing else: queries, roles and links stop finding the file at once. Its
//! bytes still count for their owners, because a restored file must not exceed a quota that it did not exceed before.
//! After the grace period `purge` deletes the bytes.

use std::time::Duration;

use domain::{Event, EventKind, ExpectedVersion, FileId};
use jiff::Timestamp;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set};

use crate::convert;
use crate::convert::millis;
use crate::entity::{file_versions, files};
use crate::error::RecordsError;
use crate::records::Records;
use crate::write::TxEnd;
use crate::write_tx::WriteTx;

/// Why a file was not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteFileRefusal {
    /// There is no such file, or it is deleted already.
    Unknown,
    /// Another version than the expected one is the latest, or will be once it is processed.
    VersionChanged,
}

/// Why a file was not restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreFileRefusal {
    /// There is no such file, or its bytes are deleted.
    Unknown,
    /// The grace period is over.
    TooLate,
}

impl Records {
    /// Deletes a file with all its versions and renditions. It can be restored for the time of `grace`. Returns the end of
    /// that time. Uploads into the file that are being processed are rejected when they are settled.
    ///
    /// `expected` is the number of the version that must be the latest one, as for
    /// [`admit_into_file`](Self::admit_into_file).
    ///
    /// # Errors
    /// Outer: any database error, and then nothing was deleted. Inner: why the deletion was refused.
    pub async fn delete_file(
        &self,
        file: &FileId,
        by: &str,
        grace: Duration,
        expected: ExpectedVersion<u32>,
    ) -> Result<Result<Timestamp, DeleteFileRefusal>, RecordsError> {
        self.write("delete_file", async |tx| {
            let now = self.now_ms();
            let row = files::Entity::find_by_id(file.as_str()).lock_exclusive().one(&tx.tx).await?;
            let Some(row) = row.filter(|row| row.latest_version > 0 && row.deleted_at.is_none()) else {
                return Ok(TxEnd::Rollback(Err(DeleteFileRefusal::Unknown)));
            };
            if expected != ExpectedVersion::Any
                && !tx.latest_kept_version(&row.id).await?.is_some_and(|latest| expected.permits(&latest))
            {
                return Ok(TxEnd::Rollback(Err(DeleteFileRefusal::VersionChanged)));
            }
            let purge_at = now.saturating_add(millis(grace));
            let deletion = files::ActiveModel {
                id: Set(row.id.clone()),
                deleted_at: Set(Some(now)),
                deleted_by: Set(Some(by.to_owned())),
                purge_at: Set(Some(purge_at)),
                ..Default::default()
            };
            deletion.update(&tx.tx).await?;
            let until = convert::timestamp(purge_at);
            let detail = format!("with file {file} by {by}; it can be restored until {until}");
            tx.record_file_event(&row, EventKind::Deleted, detail, now).await?;
            Ok(TxEnd::Commit(Ok(until)))
        })
        .await
    }

    /// Restores a deleted file. A file that is not deleted stays as it is.
    ///
    /// # Errors
    /// Outer: any database error, and then nothing was restored. Inner: why the file cannot be restored.
    pub async fn restore_file(&self, file: &FileId, by: &str) -> Result<Result<(), RestoreFileRefusal>, RecordsError> {
        self.write("restore_file", async |tx| {
            let now = self.now_ms();
            let row = files::Entity::find_by_id(file.as_str()).lock_exclusive().one(&tx.tx).await?;
            let Some(row) = row.filter(|row| row.latest_version > 0) else {
                return Ok(TxEnd::Rollback(Err(RestoreFileRefusal::Unknown)));
            };
            if row.deleted_at.is_none() {
                return Ok(TxEnd::Rollback(Ok(())));
            }
            // The clock of the sweeper may be ahead of this one, so its lease counts too.
            if row.purge_at.is_none_or(|at| at <= now) || row.purge_leased_until.is_some() {
                return Ok(TxEnd::Rollback(Err(RestoreFileRefusal::TooLate)));
            }
            let restored = files::ActiveModel {
                id: Set(row.id.clone()),
                deleted_at: Set(None),
                deleted_by: Set(None),
                purge_at: Set(None),
                ..Default::default()
            };
            restored.update(&tx.tx).await?;
            tx.record_file_event(&row, EventKind::Restored, format!("with file {file} by {by}"), now).await?;
            Ok(TxEnd::Commit(Ok(())))
        })
        .await
    }
}

impl WriteTx {
    /// Records an event of a file in the history of its latest version, if the bytes of that version are here.
    async fn record_file_event(
        &self,
        file: &files::Model,
        kind: EventKind,
        detail: String,
        now: i64,
    ) -> Result<(), RecordsError> {
        let latest = file_versions::Entity::find()
            .filter(file_versions::Column::FileId.eq(file.id.as_str()))
            .filter(file_versions::Column::Number.eq(file.latest_version));
        let upload = latest.one(&self.tx).await?.and_then(|latest| latest.upload_id);
        let Some(upload) = upload.map(convert::upload_id).transpose()? else { return Ok(()) };
        self.record_events(upload, [Event::new(convert::timestamp(now), kind, detail)]).await
    }
}
