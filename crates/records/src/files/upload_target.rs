//! The target of an upload in a file: it is confirmed or released when the upload is settled. Called by the
//! transactions that settle uploads, for uploads into files.

use domain::{AccessGrant, FileRole, Reason, ReasonCode, Upload, UploadId, UploadKind};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::entity::{file_versions, files, renditions};
use crate::error::RecordsError;
use crate::write_tx::WriteTx;

impl WriteTx {
    /// Checks that the upload is still permitted; returns the reason if it is not.
    pub(crate) async fn is_still_permitted(
        &self,
        upload: &Upload,
        now: i64,
    ) -> Result<Result<(), Reason>, RecordsError> {
        let (file, grant, new) = match upload.kind {
            UploadKind::Dropbox => return Ok(Ok(())),
            UploadKind::Rendition => {
                let row = renditions::Entity::find().filter(renditions::Column::UploadId.eq(upload.id.get()));
                let Some(row) = row.one(&self.tx).await? else { return Ok(Err(target_gone())) };
                let version = file_versions::Entity::find_by_id(row.version_id).one(&self.tx).await?;
                let Some(version) = version else { return Ok(Err(target_gone())) };
                (version.file_id, Some(row.access_grant), false)
            }
            UploadKind::File => {
                let row = file_versions::Entity::find().filter(file_versions::Column::UploadId.eq(upload.id.get()));
                let Some(row) = row.one(&self.tx).await? else { return Ok(Err(target_gone())) };
                (row.file_id, row.access_grant, row.number == 1)
            }
        };
        let Some(grant) = grant else { return Ok(Err(target_gone())) };
        let grant: AccessGrant = grant.parse()?;
        let least = if new { FileRole::Owner } else { FileRole::Contributor };
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
