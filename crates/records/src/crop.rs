//! Cropping: changes what an unclaimed picture shows. Every crop begins a new generation of variants. Variants of
//! former generations are kept and deleted with the picture.

use domain::{Crop, Event, EventKind, ExpectedVersion, Reason, ReasonCode, UploadId, UploadState};
use jiff::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::claim::Claimant;
use crate::convert;
use crate::entity::{events, uploads};
use crate::error::RecordsError;
use crate::records::Records;
use crate::write::TxEnd;

/// Why a crop was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CropRefusal {
    /// There is no such unclaimed picture for this caller.
    Unknown,
    /// It has been cropped as often as one picture may be.
    TooManyCrops(Reason),
    /// It was cropped again, so that it does not show the expected generation any more.
    VersionChanged,
}

/// The most generations of one picture, because each generation has its own limit of variants.
const MAX_GENERATIONS: i32 = 64;

impl Records {
    /// When a picture was last cropped; `None` if it was not.
    ///
    /// # Errors
    /// Any database error.
    pub async fn cropped_at(&self, upload: UploadId) -> Result<Option<Timestamp>, RecordsError> {
        let crops = events::Entity::find()
            .filter(events::Column::UploadId.eq(upload.get()))
            .filter(events::Column::Kind.eq(EventKind::Cropped.to_string()));
        let last = crops.order_by_desc(events::Column::Id).one(&self.db).await?;
        Ok(last.map(|last| convert::timestamp(last.occurred_at)))
    }

    /// Crops a ready, unclaimed picture; the default crop shows it as it was uploaded. Returns the generation that its
    /// variants belong to, which is the former one if nothing changes.
    ///
    /// `expected` is the generation that may be changed. A crop that the picture has already succeeds for any
    /// `expected`, because RFC 9110, 13.1.1, permits that if the change "appears to have already been applied".
    ///
    /// # Errors
    /// Outer: any database error, and then nothing was changed. Inner: why the crop was refused.
    pub async fn crop(
        &self,
        upload: UploadId,
        crop: Crop,
        by: &Claimant,
        expected: ExpectedVersion<u32>,
    ) -> Result<Result<u32, CropRefusal>, RecordsError> {
        self.write("crop", async |tx| {
            let now = self.now_ms();
            let mut theirs = Condition::all()
                .add(uploads::Column::Id.eq(upload.get()))
                .add(uploads::Column::ClaimedAt.is_null())
                .add(uploads::Column::ExpiresAt.gt(now))
                .add(uploads::Column::State.eq(UploadState::Ready.as_str()));
            if !by.admin {
                theirs = theirs.add(uploads::Column::Owner.eq(by.user.as_str()));
            }
            // Locked, so that the generation stays what is compared here.
            let row = uploads::Entity::find().filter(theirs.clone()).lock_exclusive().one(&tx.tx).await?;
            let Some(row) = row else {
                return Ok(TxEnd::Rollback(Err(CropRefusal::Unknown)));
            };
            let stands = convert::upload(row)?;
            if stands.crop == crop {
                return Ok(TxEnd::Rollback(Ok(stands.generation)));
            }
            if !expected.permits(&stands.generation) {
                return Ok(TxEnd::Rollback(Err(CropRefusal::VersionChanged)));
            }
            // The default is stored as NULL, as in the row of a picture that was never cropped.
            let crop_json = (crop != Crop::default()).then(|| serde_json::to_string(&crop)).transpose();
            let crop_json = crop_json.map_err(|error| RecordsError::CorruptRow(error.to_string()))?;
            let cropped = uploads::Entity::update_many()
                .col_expr(uploads::Column::Crop, Expr::value(crop_json.clone()))
                .col_expr(uploads::Column::Generation, Expr::col(uploads::Column::Generation).add(1))
                .filter(theirs)
                .filter(uploads::Column::Generation.lt(MAX_GENERATIONS))
                .exec_with_returning(&tx.tx)
                .await?;
            let Some(row) = cropped.into_iter().next() else {
                let message = format!(
                    "this picture has been cropped {MAX_GENERATIONS} times, which is the limit; upload it again"
                );
                return Ok(TxEnd::Rollback(Err(CropRefusal::TooManyCrops(Reason::new(
                    ReasonCode::TooManyCrops,
                    message,
                )))));
            };
            let event = Event::new(
                convert::timestamp(now),
                EventKind::Cropped,
                crop_json.unwrap_or_else(|| "to the whole".to_owned()),
            );
            tx.record_events(upload, [event]).await?;
            Ok(TxEnd::Commit(Ok(convert::upload(row)?.generation)))
        })
        .await
    }
}
