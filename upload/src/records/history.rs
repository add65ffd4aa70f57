//! Reading the truth: one upload, the way it went, and how many stand where.

use std::collections::{HashMap, HashSet};

use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::{events, jobs, ledger, uploads};
use super::{Records, RecordsError, rows};
use crate::upload::{Event, State, Upload, UploadId};

/// How many uploads stand where, and what is still owed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Uploads ever admitted.
    pub admitted: u64,
    /// By state. Those accepted are in flight.
    pub states: HashMap<State, u64>,
    /// Jobs that are promised and not done.
    pub open_jobs: u64,
    /// Dead letters.
    pub dead_jobs: u64,
    /// Prefixes of blobs waiting to be deleted.
    pub condemned: u64,
}

impl Census {
    /// How many uploads stand in a state.
    pub fn of(&self, state: State) -> u64 {
        self.states.get(&state).copied().unwrap_or_default()
    }
}

impl Records {
    /// An upload.
    ///
    /// # Errors
    /// The database's.
    pub async fn upload(&self, id: UploadId) -> Result<Option<Upload>, RecordsError> {
        uploads::Entity::find_by_id(id.get()).one(&self.db).await?.map(rows::upload).transpose()
    }

    /// What happened to an upload, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn events(&self, id: UploadId) -> Result<Vec<Event>, RecordsError> {
        let rows = events::Entity::find()
            .filter(events::Column::UploadId.eq(id.get()))
            .order_by_asc(events::Column::At)
            .order_by_asc(events::Column::Id)
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().map(|row| Event { at: rows::at(row.at), what: row.what, detail: row.detail }).collect())
    }

    /// Which of these staged keys an upload still needs: one that waits, or one that failed and may be retried.
    ///
    /// # Errors
    /// The database's.
    pub async fn needed_in_staging(&self, keys: &[String]) -> Result<HashSet<String>, RecordsError> {
        let now = self.now_ms();
        let retriable = Condition::all().add(uploads::Column::State.eq(State::Failed.as_str())).add(
            Condition::any().add(uploads::Column::ExpiresAt.gt(now)).add(uploads::Column::ClaimedAt.is_not_null()),
        );
        let needed = uploads::Entity::find()
            .select_only()
            .column(uploads::Column::StagedKey)
            .filter(uploads::Column::StagedKey.is_in(keys))
            .filter(Condition::any().add(uploads::Column::State.eq(State::Accepted.as_str())).add(retriable))
            .into_tuple::<String>()
            .all(&self.db)
            .await?;
        Ok(needed.into_iter().collect())
    }

    /// Counts everything. It reads whole indexes; ask seldom.
    ///
    /// # Errors
    /// The database's.
    pub async fn census(&self) -> Result<Census, RecordsError> {
        let counted: Vec<(String, i64)> = uploads::Entity::find()
            .select_only()
            .column(uploads::Column::State)
            .column_as(uploads::Column::Id.count(), "uploads")
            .group_by(uploads::Column::State)
            .into_tuple()
            .all(&self.db)
            .await?;
        let mut census = Census::default();
        for (state, uploads) in counted {
            let uploads = u64::try_from(uploads).unwrap_or_default();
            census.admitted += uploads;
            census.states.insert(state.parse()?, uploads);
        }
        census.open_jobs = jobs::Entity::find().filter(jobs::Column::State.eq("queued")).count(&self.db).await?;
        census.dead_jobs = jobs::Entity::find().filter(jobs::Column::State.eq("dead")).count(&self.db).await?;
        census.condemned = ledger::Entity::find().count(&self.db).await?;
        Ok(census)
    }
}
