//! Deletion of an unclaimed picture. It locks the row that a claim and the expiry set, so that a picture is claimed,
//! expires or is deleted, and never two of these.

use domain::{ExpectedVersion, Resource, UploadId, UploadKind, UploadState};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::claim::Claimant;
use crate::convert;
use crate::discard::DiscardedUploads;
use crate::entity::uploads;
use crate::error::RecordsError;
use crate::records::Records;
use crate::write::TxEnd;

/// What clients are told about a deleted picture.
const DELETED: &str = "the picture was deleted; upload it again";

/// Why an upload was not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteUploadRefusal {
    /// There is no such upload, or it belongs to another user. Clients cannot tell these apart.
    Unknown,
    /// The picture belongs to this resource.
    Claimed(Resource),
    /// The upload belongs to a file.
    BelongsToFile,
    /// The picture was cropped again, so that it does not show the expected generation any more.
    VersionChanged,
}

impl Records {
    /// Deletes a picture that is not claimed, whatever its state. A picture that waits for a worker is cancelled: its job
    /// is gone, and an attempt that runs settles nothing. A picture whose bytes are deleted already stays as it is.
    ///
    /// `expected` is the generation that may be deleted. A picture that is deleted already succeeds for any `expected`,
    /// because RFC 9110, 13.1.1, permits that if the change "appears to have already been applied".
    ///
    /// # Errors
    /// Outer: any database error, and then nothing was deleted. Inner: why the deletion was refused.
    pub async fn delete_upload(
        &self,
        upload: UploadId,
        by: &Claimant,
        expected: ExpectedVersion<u32>,
    ) -> Result<Result<DiscardedUploads, DeleteUploadRefusal>, RecordsError> {
        self.write("delete_upload", async |tx| {
            let mut theirs = uploads::Entity::find_by_id(upload.get()).lock_exclusive();
            if !by.admin {
                theirs = theirs.filter(uploads::Column::Owner.eq(by.user.as_str()));
            }
            let Some(row) = theirs.one(&tx.tx).await? else {
                return Ok(TxEnd::Rollback(Err(DeleteUploadRefusal::Unknown)));
            };
            let stands = convert::upload(row.clone())?;
            if stands.kind != UploadKind::Dropbox {
                return Ok(TxEnd::Rollback(Err(DeleteUploadRefusal::BelongsToFile)));
            }
            if stands.state == UploadState::Expired {
                return Ok(TxEnd::Rollback(Ok(DiscardedUploads::default())));
            }
            if let Some(claim) = stands.claim {
                return Ok(TxEnd::Rollback(Err(DeleteUploadRefusal::Claimed(claim.resource))));
            }
            if !expected.permits(&stands.generation) {
                return Ok(TxEnd::Rollback(Err(DeleteUploadRefusal::VersionChanged)));
            }
            let detail = format!("by {}", by.user);
            Ok(TxEnd::Commit(Ok(tx.delete_uploads(&[row], DELETED, &detail, self.now_ms()).await?)))
        })
        .await
    }
}
