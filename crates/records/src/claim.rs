//! Claiming: one compare-and-set on the row that expiry also sets, so that a picture is claimed or expires, never
//! both. The avatar entry is a second row of the same transaction.

use domain::{
    Event, EventKind, ExpectedVersion, Reason, ReasonCode, Resource, UploadId, UploadKind, UploadState, VersionChanged,
};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, Condition, EntityTrait, QueryFilter, Set};

use crate::convert;
use crate::entity::{avatars, uploads};
use crate::error::RecordsError;
use crate::records::Records;
use crate::write::TxEnd;

/// The claiming user.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// The user's id.
    pub user: String,
    /// Whether the user may claim other users' uploads, as a site administrator may.
    pub admin: bool,
}

/// Why a claim was refused (`docs/contracts/dropbox.md`, 6.3 and 6.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimRefusal {
    /// There is no such picture, or it belongs to another user. Clients cannot tell these apart.
    Unknown,
    /// It belongs to another resource already, or another user claimed it.
    ClaimedElsewhere,
    /// It was not claimed in time.
    Expired,
    /// It was deleted, or it was an avatar that was removed.
    Deleted,
    /// It never became a picture.
    Unusable(Reason),
    /// The resource does not have the expected avatar any more.
    VersionChanged,
}

impl Records {
    /// Claims an upload for a resource, and names the resource if `name` is given. A second time has no further effect.
    ///
    /// `expected` is the version of the avatar that may be replaced; see [`Records::avatar`]. A claim that was made
    /// before and changes nothing now succeeds for any `expected`. RFC 9110, 13.1.1, permits that if the change
    /// "appears to have already been applied", and `docs/contracts/dropbox.md`, 6.3, demands it.
    ///
    /// # Errors
    /// Outer: any database error, and then nothing was claimed. Inner: why the claim was refused.
    pub async fn claim(
        &self,
        upload: UploadId,
        resource: &Resource,
        claimant: &Claimant,
        name: Option<&str>,
        expected: ExpectedVersion<Option<i64>>,
    ) -> Result<Result<(), ClaimRefusal>, RecordsError> {
        self.write("claim", async |tx| {
            let now = self.now_ms();
            let mut theirs = Condition::all().add(uploads::Column::Kind.eq(UploadKind::Dropbox.as_str()));
            if !claimant.admin {
                theirs = theirs.add(uploads::Column::Owner.eq(claimant.user.as_str()));
            }
            let claimed = uploads::Entity::update_many()
                .col_expr(uploads::Column::ClaimedService, Expr::value(resource.service.as_str()))
                .col_expr(uploads::Column::ClaimedResourceId, Expr::value(resource.id.as_str()))
                .col_expr(uploads::Column::ClaimedBy, Expr::value(claimant.user.as_str()))
                .col_expr(uploads::Column::ClaimedAt, Expr::value(now))
                .filter(uploads::Column::Id.eq(upload.get()))
                .filter(theirs.clone())
                .filter(uploads::Column::ClaimedAt.is_null())
                .filter(uploads::Column::ExpiresAt.gt(now))
                .filter(uploads::Column::State.is_in([UploadState::Accepted.as_str(), UploadState::Ready.as_str()]))
                .exec(&tx.tx)
                .await?;
            if claimed.rows_affected == 0 {
                let row = uploads::Entity::find_by_id(upload.get()).filter(theirs).one(&tx.tx).await?;
                if let Err(refusal) = explain_refusal(row, resource, claimant)? {
                    return Ok(TxEnd::Rollback(Err(refusal)));
                }
                let Some(name) = name else { return Ok(TxEnd::Rollback(Ok(()))) };
                let named = tx.name_resource_if(resource, name, expected, now).await?;
                return Ok(TxEnd::Commit(named.map_err(|VersionChanged| ClaimRefusal::VersionChanged)));
            }
            tx.lock_avatar(resource).await?;
            if !expected.permits(&tx.latest_avatar(resource).await?) {
                return Ok(TxEnd::Rollback(Err(ClaimRefusal::VersionChanged)));
            }
            if let Some(name) = name {
                tx.set_resource_name(resource, name, now).await?;
            }
            let avatar = avatars::ActiveModel {
                service: Set(resource.service.as_str().to_owned()),
                resource_id: Set(resource.id.clone()),
                upload_id: Set(Some(upload.get())),
                set_by: Set(claimant.user.clone()),
                created_at: Set(now),
                ..Default::default()
            };
            avatar.insert(&tx.tx).await?;
            let detail = format!("for {resource} by {}", claimant.user);
            let event = Event::new(convert::timestamp(now), EventKind::Claimed, detail);
            tx.record_events(upload, [event]).await?;
            Ok(TxEnd::Commit(Ok(())))
        })
        .await
    }
}

/// Why nothing was claimed; Ok if it was claimed before for the same resource by the same user.
fn explain_refusal(
    row: Option<uploads::Model>,
    resource: &Resource,
    claimant: &Claimant,
) -> Result<Result<(), ClaimRefusal>, RecordsError> {
    let Some(row) = row else { return Ok(Err(ClaimRefusal::Unknown)) };
    let upload = convert::upload(row)?;
    let is_deleted = upload.reason.as_ref().is_some_and(|reason| reason.code == ReasonCode::Deleted);
    Ok(match (upload.claim, upload.state) {
        (_, UploadState::Expired) if is_deleted => Err(ClaimRefusal::Deleted),
        (Some(claim), _) if claim.resource == *resource && claim.by == claimant.user => Ok(()),
        (Some(_), _) => Err(ClaimRefusal::ClaimedElsewhere),
        (None, UploadState::Rejected | UploadState::Failed) => {
            let unknown = || Reason::new(ReasonCode::NoPicture, "it never became a picture");
            Err(ClaimRefusal::Unusable(upload.reason.unwrap_or_else(unknown)))
        }
        // An upload past its time that the sweeper has not expired yet is expired as well.
        (None, UploadState::Expired | UploadState::Accepted | UploadState::Ready) => Err(ClaimRefusal::Expired),
    })
}
