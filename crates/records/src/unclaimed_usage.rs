//! A user's unclaimed usage: uploaded pictures that are not claimed yet.

use domain::{UploadKind, UploadState};
use jiff::Timestamp;
use sea_orm::sea_query::{Alias, Func, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::convert;
use crate::entity::uploads;
use crate::error::RecordsError;
use crate::records::Records;

/// The unclaimed usage of one user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnclaimedUsage {
    /// The number of unclaimed pictures.
    pub pictures: u64,
    /// Their size in bytes, as uploaded.
    pub bytes: u64,
    /// When the first of them expires.
    pub next_expiry: Option<Timestamp>,
}

impl Records {
    /// The unclaimed usage of a user.
    ///
    /// # Errors
    /// Any database error.
    pub async fn unclaimed(&self, owner: &str) -> Result<UnclaimedUsage, RecordsError> {
        // A sum of BIGINTs is a NUMERIC in PostgreSQL.
        let sum: SimpleExpr = Func::cast_as(uploads::Column::Bytes.sum(), Alias::new("BIGINT")).into();
        let found: Option<(i64, Option<i64>, Option<i64>)> = uploads::Entity::find()
            .select_only()
            .column_as(uploads::Column::Id.count(), "pictures")
            .column_as(sum, "bytes")
            .column_as(uploads::Column::ExpiresAt.min(), "soonest")
            .filter(uploads::Column::Owner.eq(owner))
            .filter(uploads::Column::Kind.eq(UploadKind::Dropbox.as_str()))
            .filter(uploads::Column::State.is_in([UploadState::Accepted.as_str(), UploadState::Ready.as_str()]))
            .filter(uploads::Column::ClaimedAt.is_null())
            .filter(uploads::Column::ExpiresAt.gt(self.now_ms()))
            .into_tuple()
            .one(&self.db)
            .await?;
        let (pictures, bytes, soonest) = found.unwrap_or_default();
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        Ok(UnclaimedUsage {
            pictures: count(pictures),
            bytes: count(bytes.unwrap_or_default()),
            next_expiry: soonest.map(convert::timestamp),
        })
    }
}
