//! Reading the truth: one upload, the way it went, and how many stand where.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
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
    /// Uploads that a promised job is to settle.
    pub in_flight: u64,
    /// Promises that the queue has not been told of.
    pub unpublished: u64,
    /// When the oldest of the promised jobs was promised.
    pub oldest_job: Option<Timestamp>,
    /// Bytes in staging that somebody waits for, or may try again.
    pub staged_bytes: u64,
}

impl Census {
    /// How many uploads stand in a state.
    pub fn of(&self, state: State) -> u64 {
        self.states.get(&state).copied().unwrap_or_default()
    }

    /// Admitted, less every end, less those that a job is to settle. Anything but 0 is an upload that was lost or doubled.
    pub fn unaccounted(&self) -> i64 {
        let ends = [State::Ready, State::Rejected, State::Failed, State::Expired].map(|state| self.of(state));
        let accounted = ends.iter().sum::<u64>() + self.in_flight;
        i64::try_from(self.admitted).unwrap_or(i64::MAX) - i64::try_from(accounted).unwrap_or(i64::MAX)
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
        let dead = Query::select()
            .expr(Expr::value(1))
            .from(jobs::Entity)
            .and_where(Expr::col((jobs::Entity, jobs::Column::UploadId)).equals((uploads::Entity, uploads::Column::Id)))
            .and_where(Expr::col((jobs::Entity, jobs::Column::State)).eq("dead"))
            .to_owned();
        let retriable = Condition::all()
            .add(uploads::Column::State.eq(State::Failed.as_str()))
            .add(super::jobs::worth_a_retry(self.now_ms()))
            .add(Expr::exists(dead));
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
        // One moment for all the counts, or what moves between two of them would look lost.
        let tx = self.db.begin_snapshot().await?;
        let counted: Vec<(String, i64)> = uploads::Entity::find()
            .select_only()
            .column(uploads::Column::State)
            .column_as(uploads::Column::Id.count(), "uploads")
            .group_by(uploads::Column::State)
            .into_tuple()
            .all(&tx)
            .await?;
        let mut census = Census::default();
        for (state, uploads) in counted {
            let uploads = u64::try_from(uploads).unwrap_or_default();
            census.admitted += uploads;
            census.states.insert(state.parse()?, uploads);
        }
        let queued = jobs::Entity::find().filter(jobs::Column::State.eq("queued"));
        census.open_jobs = queued.clone().count(&tx).await?;
        census.in_flight = queued.clone().filter(jobs::Column::Kind.contains(".process.")).count(&tx).await?;
        census.unpublished = queued.clone().filter(jobs::Column::PublishedAt.is_null()).count(&tx).await?;
        let oldest = queued.order_by_asc(jobs::Column::CreatedAt).one(&tx).await?;
        census.oldest_job = oldest.map(|job| rows::at(job.created_at));
        census.dead_jobs = jobs::Entity::find().filter(jobs::Column::State.eq("dead")).count(&tx).await?;
        census.condemned = ledger::Entity::find().count(&tx).await?;
        let staged: Option<(Option<i64>,)> = uploads::Entity::find()
            .select_only()
            .column_as(Expr::col(uploads::Column::Bytes).sum().cast_as("BIGINT"), "staged")
            .filter(uploads::Column::State.is_in([State::Accepted.as_str(), State::Failed.as_str()]))
            .into_tuple()
            .one(&tx)
            .await?;
        let staged = staged.and_then(|(bytes,)| bytes).unwrap_or_default();
        census.staged_bytes = u64::try_from(staged).unwrap_or_default();
        tx.commit().await?;
        Ok(census)
    }
}
