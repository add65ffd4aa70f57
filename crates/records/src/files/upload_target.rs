//! The target of an upload in a file: it is confirmed or released when the upload is settled. Called by the
//! transactions that settle uploads, for uploads into files.

use domain::{AccessGrant, FileId, FileRole, Reason, ReasonCode, Upload, UploadId, UploadKind};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use crate::entity::{file_versions, files, renditions};
use crate::error::RecordsError;
use crate::files::queries::is_deleted;
use crate::records::Records;
use crate::write_tx::WriteTx;

/// The target of an upload, and the grant that permits it.
struct ReservedTarget {
    file: String,
    grant: AccessGrant,
    /// The upload is the first version of its file.
    is_new_file: bool,
}

/// Finds the target of an upload. None for a picture of the dropbox, and if the target does not exist any more.
async fn find_target(db: &impl ConnectionTrait, upload: &Upload) -> Result<Option<ReservedTarget>, RecordsError> {
    let (version, grant) = match upload.kind {
        UploadKind::Dropbox => return Ok(None),
        UploadKind::Rendition => {
            let row = renditions::Entity::find().filter(renditions::Column::UploadId.eq(upload.id.get()));
            let Some(row) = row.one(db).await? else { return Ok(None) };
            (file_versions::Entity::find_by_id(row.version_id).one(db).await?, Some(row.access_grant))
        }
        UploadKind::File => {
            let row = file_versions::Entity::find().filter(file_versions::Column::UploadId.eq(upload.id.get()));
            let row = row.one(db).await?;
            let grant = row.as_ref().and_then(|row| row.access_grant.clone());
            (row, grant)
        }
    };
    let (Some(version), Some(grant)) = (version, grant) else { return Ok(None) };
    let is_new_file = upload.kind == UploadKind::File && version.number == 1;
    Ok(Some(ReservedTarget { file: version.file_id, grant: grant.parse()?, is_new_file }))
}

impl Records {
    /// The file that an upload goes into, and the grant that permits it. None for a picture of the dropbox.
    ///
    /// # Errors
    /// Any database error.
    pub async fn upload_grant(&self, upload: &Upload) -> Result<Option<(FileId, AccessGrant)>, RecordsError> {
        let target = find_target(&self.db, upload).await?;
        Ok(target.and_then(|target| Some((target.file.parse().ok()?, target.grant))))
    }
}

impl WriteTx {
    /// Checks that the upload is still permitted; returns the reason if it is not.
    pub(crate) async fn is_still_permitted(
        &self,
        upload: &Upload,
        now: i64,
    ) -> Result<Result<(), Reason>, RecordsError> {
        if upload.kind == UploadKind::Dropbox {
            return Ok(Ok(()));
        }
        let Some(ReservedTarget { file, grant, is_new_file }) = find_target(&self.tx, upload).await? else {
            return Ok(Err(target_gone()));
        };
        if is_deleted(&self.tx, &file).await? {
            return Ok(Err(target_gone()));
        }
        let least = if is_new_file { FileRole::Owner } else { FileRole::Contributor };
        let role = self.file_role(&file, &grant, now).await?;
        Ok(if role.is_some_and(|role| role >= least) {
            Ok(())
        } else {
            Err(Reason::new(
                ReasonCode::NotPermitted,
                "the right to upload into this file was taken back while the upload waited",
            ))
        })
    }

    /// Makes a ready upload visible at its target. Returns false if the target is not reserved for it any more.
    pub(crate) async fn confirm_target(&self, upload: &Upload, now: i64) -> Result<bool, RecordsError> {
        match upload.kind {
            UploadKind::Dropbox => Ok(true),
            UploadKind::Rendition => {
                let kept = renditions::Entity::update_many()
                    .col_expr(renditions::Column::ReadyAt, Expr::value(now))
                    .filter(renditions::Column::UploadId.eq(upload.id.get()))
                    .filter(renditions::Column::ReleasedAt.is_null())
                    .exec(&self.tx)
                    .await?;
                Ok(kept.rows_affected == 1)
            }
            UploadKind::File => self.confirm_version(upload.id, now).await,
        }
    }

    async fn confirm_version(&self, upload: UploadId, now: i64) -> Result<bool, RecordsError> {
        let kept = file_versions::Entity::update_many()
            .col_expr(file_versions::Column::ReadyAt, Expr::value(now))
            .filter(file_versions::Column::UploadId.eq(upload.get()))
            .filter(file_versions::Column::ReleasedAt.is_null())
            .exec_with_returning(&self.tx)
            .await?;
        let Some(version) = kept.into_iter().next() else { return Ok(false) };
        // The later of two versions may be ready first.
        files::Entity::update_many()
            .col_expr(files::Column::LatestVersion, Expr::value(version.number))
            .col_expr(files::Column::Name, Expr::value(version.name))
            .col_expr(files::Column::ChangedAt, Expr::value(version.created_at))
            .filter(files::Column::Id.eq(version.file_id))
            .filter(files::Column::LatestVersion.lt(version.number))
            .exec(&self.tx)
            .await?;
        Ok(true)
    }

    /// Releases the targets of failed uploads, with the names that they reserved.
    pub(crate) async fn release_targets(&self, uploads: &[i64], now: i64) -> Result<(), RecordsError> {
        if uploads.is_empty() {
            return Ok(());
        }
        renditions::Entity::update_many()
            .col_expr(renditions::Column::ReleasedAt, Expr::value(now))
            .filter(renditions::Column::UploadId.is_in(uploads.iter().copied()))
            .filter(renditions::Column::ReleasedAt.is_null())
            .exec(&self.tx)
            .await?;
        file_versions::Entity::update_many()
            .col_expr(file_versions::Column::ReleasedAt, Expr::value(now))
            .filter(file_versions::Column::UploadId.is_in(uploads.iter().copied()))
            .filter(file_versions::Column::ReleasedAt.is_null())
            .exec(&self.tx)
            .await?;
        Ok(())
    }

    /// Reserves the target again for an upload that an operator retries. Returns false if another upload has it by
    /// now.
    pub(crate) async fn reacquire_target(&self, upload: UploadId, kind: UploadKind) -> Result<bool, RecordsError> {
        if kind == UploadKind::File {
            let retaken = file_versions::Entity::update_many()
                .col_expr(file_versions::Column::ReleasedAt, Expr::value(Option::<i64>::None))
                .filter(file_versions::Column::UploadId.eq(upload.get()))
                .exec(&self.tx)
                .await?;
            return Ok(retaken.rows_affected > 0);
        }
        if kind != UploadKind::Rendition {
            return Ok(true);
        }
        let row = renditions::Entity::find().filter(renditions::Column::UploadId.eq(upload.get()));
        let Some(row) = row.one(&self.tx).await? else { return Ok(false) };
        let taken = renditions::Entity::find()
            .filter(renditions::Column::VersionId.eq(row.version_id))
            .filter(renditions::Column::CaseFoldedName.eq(row.case_folded_name))
            .filter(renditions::Column::ReleasedAt.is_null());
        if taken.one(&self.tx).await?.is_some_and(|taken| taken.id != row.id) {
            return Ok(false);
        }
        renditions::Entity::update_many()
            .col_expr(renditions::Column::ReleasedAt, Expr::value(Option::<i64>::None))
            .filter(renditions::Column::Id.eq(row.id))
            .exec(&self.tx)
            .await?;
        Ok(true)
    }
}

fn target_gone() -> Reason {
    Reason::new(ReasonCode::TargetGone, "the file that this was uploaded into is not there any more")
}
