//! What the queue was not told, or forgot. The jobs that are still rows are the promises still open; those of them that
//! nobody is on and that the queue does not hold are the sweeper's to publish again.

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::jobs;
use super::{Records, RecordsError, rows, span};
use crate::JobId;
use crate::job::Ticket;

/// How long the one who made a promise has to publish it before the relay does.
const GRACE: Duration = Duration::from_secs(10);

/// How long a confirmed ticket may lie in the queue before it is published once more, in case the queue lost it.
/// A doubled ticket does no harm: the row decides. It costs a delivery, so it is rare.
const FORGOTTEN: Duration = Duration::from_secs(900);

impl Records {
    /// Promises whose publishing is due and that the queue does not hold, as far as the records know; oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn unpublished(&self, most: u64) -> Result<Vec<Ticket>, RecordsError> {
        let now = self.now_ms();
        let missed =
            Condition::all().add(jobs::Column::PublishedAt.is_null()).add(jobs::Column::RunAt.lte(now - span(GRACE)));
        let abandoned = Condition::all().add(jobs::Column::LeasedUntil.lte(now));
        let forgotten = Condition::all()
            .add(jobs::Column::LeasedUntil.is_null())
            .add(jobs::Column::PublishedAt.lte(now - span(FORGOTTEN)));
        let unpublished = jobs::Entity::find()
            .filter(jobs::Column::State.eq("queued"))
            .filter(Condition::any().add(missed).add(abandoned).add(forgotten))
            .order_by_asc(jobs::Column::RunAt)
            .limit(most)
            .all(&self.db)
            .await?;
        Ok(unpublished.iter().filter_map(|row| rows::ticket(row).ok()).collect())
    }

    /// Notes that the queue has confirmed these tickets; they are its to keep from now on.
    ///
    /// # Errors
    /// The database's; then the relay publishes them once more.
    pub async fn note_published(&self, jobs: impl IntoIterator<Item = JobId>) -> Result<(), RecordsError> {
        let now = self.now_ms();
        let _turn = self.turn().await?;
        jobs::Entity::update_many()
            .col_expr(jobs::Column::PublishedAt, Expr::value(now))
            .col_expr(jobs::Column::LeasedUntil, Expr::value(Option::<i64>::None))
            .filter(jobs::Column::Id.is_in(jobs))
            .filter(Condition::any().add(jobs::Column::LeasedUntil.is_null()).add(jobs::Column::LeasedUntil.lte(now)))
            .exec(&self.db)
            .await?;
        Ok(())
    }

    /// For a queue that forgets: all promises are open again and nobody is on them. Only for the one process that owns
    /// both the queue and its workers, before it begins. Returns how many there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn reopen_promises(&self) -> Result<u64, RecordsError> {
        let _turn = self.turn().await?;
        let reopened = jobs::Entity::update_many()
            .col_expr(jobs::Column::PublishedAt, Expr::value(Option::<i64>::None))
            .col_expr(jobs::Column::LeasedUntil, Expr::value(Option::<i64>::None))
            .col_expr(jobs::Column::RunAt, Expr::value(self.now_ms() - span(GRACE)))
            .filter(jobs::Column::State.eq("queued"))
            .exec(&self.db)
            .await?;
        Ok(reopened.rows_affected)
    }
}
