//! Cropping: a picture that waits to be claimed is shown differently from now on. Every crop begins a new generation of
//! variants; those of the former one stay with the picture and go with it.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};

use super::entity::uploads;
use super::{Claimant, Records, RecordsError, rows};
use crate::upload::{Crop, Event, Reason, State, UploadId};

/// Why a crop was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CropRefused {
    /// No such picture waits to be claimed, for this caller.
    Unknown,
    /// It has been cropped as often as one picture may be.
    TooOften(Reason),
}

/// The most generations of one picture: each may have its share of variants.
const MOST: i32 = 64;

impl Records {
    /// Shows a crop of a ready, unclaimed picture from now on; `None` for the whole. Returns the generation that its
    /// variants belong to, which is the former one where nothing changes.
    ///
    /// # Errors
    /// The outer one is the database's, and then nothing was changed; the inner one says why not.
    pub async fn crop(
        &self,
        upload: UploadId,
        crop: Option<Crop>,
        by: &Claimant,
    ) -> Result<Result<u32, CropRefused>, RecordsError> {
        self.faults.watch("records", "crop", self.crop_in_one(upload, crop, by)).await
    }

    async fn crop_in_one(
        &self,
        upload: UploadId,
        crop: Option<Crop>,
        by: &Claimant,
    ) -> Result<Result<u32, CropRefused>, RecordsError> {
        let now = self.now_ms();
        let mut theirs = Condition::all()
            .add(uploads::Column::Id.eq(upload.get()))
            .add(uploads::Column::ClaimedAt.is_null())
            .add(uploads::Column::ExpiresAt.gt(now))
            .add(uploads::Column::State.eq(State::Ready.as_str()));
        if !by.admin {
            theirs = theirs.add(uploads::Column::Owner.eq(by.user.as_str()));
        }
        let tx = self.write().await?;
        let Some(row) = uploads::Entity::find().filter(theirs.clone()).one(&*tx).await? else {
            return Ok(Err(CropRefused::Unknown));
        };
        let stands = rows::upload(row)?;
        if stands.crop == crop {
            return Ok(Ok(stands.generation));
        }
        let word = crop.map(|crop| serde_json::to_string(&crop)).transpose();
        let word = word.map_err(|error| RecordsError::Row(error.to_string()))?;
        let cropped = uploads::Entity::update_many()
            .col_expr(uploads::Column::Crop, Expr::value(word.clone()))
            .col_expr(uploads::Column::Generation, Expr::col(uploads::Column::Generation).add(1))
            .filter(theirs)
            .filter(uploads::Column::Generation.lt(MOST))
            .exec_with_returning(&*tx)
            .await?;
        let Some(row) = cropped.into_iter().next() else {
            let why = format!("this picture has been cropped {MOST} times, which is the limit; hand it in again");
            return Ok(Err(CropRefused::TooOften(Reason::new("too_many_crops", why))));
        };
        let event = Event::new(rows::at(now), "cropped", word.unwrap_or_else(|| "to the whole".to_owned()));
        tx.tell(upload, [event]).await?;
        tx.commit().await?;
        Ok(Ok(rows::upload(row)?.generation))
    }
}
