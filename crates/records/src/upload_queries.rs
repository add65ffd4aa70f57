//! Reads uploads: one upload, its events, and the staged keys that uploads still need.

use std::collections::HashSet;

use domain::{Event, JobState, Upload, UploadId, UploadState};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::convert;
use crate::entity::{events, jobs, uploads};
use crate::error::RecordsError;
use crate::records::Records;

impl Records {
    /// Returns an upload.
    ///
    /// # Errors
    /// Any database error.
    pub async fn upload(&self, id: UploadId) -> Result<Option<Upload>, RecordsError> {
        uploads::Entity::find_by_id(id.get()).one(&self.db).await?.map(convert::upload).transpose()
    }

    /// The events of an upload, oldest first.
    ///
    /// # Errors
    /// Any database error.
    pub async fn events(&self, id: UploadId) -> Result<Vec<Event>, RecordsError> {
        let rows = events::Entity::find()
            .filter(events::Column::UploadId.eq(id.get()))
            .order_by_asc(events::Column::OccurredAt)
            .order_by_asc(events::Column::Id)
            .all(&self.db)
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| Event::new(convert::timestamp(row.occurred_at), row.kind.into(), row.detail))
            .collect())
    }

    /// Returns those of `keys` that an upload still needs, because the upload waits, or has failed and may be retried.
    ///
    /// # Errors
    /// Any database error.
    pub async fn needed_staged_keys(&self, keys: &[String]) -> Result<HashSet<String>, RecordsError> {
        let dead = Query::select()
            .expr(Expr::value(1))
            .from(jobs::Entity)
            .and_where(Expr::col((jobs::Entity, jobs::Column::UploadId)).equals((uploads::Entity, uploads::Column::Id)))
            .and_where(Expr::col((jobs::Entity, jobs::Column::State)).eq(JobState::Dead.as_str()))
            .to_owned();
        let retriable = Condition::all()
            .add(uploads::Column::State.eq(UploadState::Failed.as_str()))
            .add(super::jobs::is_retriable(self.now_ms()))
            .add(Expr::exists(dead));
        let needed = uploads::Entity::find()
            .select_only()
            .column(uploads::Column::StagedKey)
            .filter(uploads::Column::StagedKey.is_in(keys))
            .filter(Condition::any().add(uploads::Column::State.eq(UploadState::Accepted.as_str())).add(retriable))
            .into_tuple::<String>()
            .all(&self.db)
            .await?;
        Ok(needed.into_iter().collect())
    }
}
