//! The ledger of bytes to delete. Nothing in blobs is ever deleted but what stands here, and what stands here is deleted
//! by the sweeper alone, after a row said that nobody needs it.

use std::time::Duration;

use sea_orm::sea_query::{Expr, LockBehavior, LockType, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, Set};
use uuid::Uuid;

use super::entity::{jobs, ledger};
use super::{Records, RecordsError, Writing, rows, span};
use crate::UploadId;

/// A prefix of blobs whose deletion the caller has taken on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condemned {
    id: Uuid,
    /// Whose bytes they were.
    pub upload: UploadId,
    /// Everything whose key begins so goes.
    pub prefix: String,
    /// Why.
    pub why: String,
}

/// After this long a deletion that was taken on and not struck off is anybody's again.
const ABANDONED: Duration = Duration::from_secs(600);

/// How long what an attempt wrote stays after its job has ended without it: it may be writing still, without knowing.
const COLLECT_AFTER: Duration = Duration::from_secs(3600);

impl Records {
    /// Takes on up to `most` due deletions.
    ///
    /// # Errors
    /// The database's.
    pub async fn take_condemned(&self, most: u64) -> Result<Vec<Condemned>, RecordsError> {
        self.faults.watch("records", "take_condemned", self.take_condemned_in_one(most)).await
    }

    async fn take_condemned_in_one(&self, most: u64) -> Result<Vec<Condemned>, RecordsError> {
        let now = self.now_ms();
        let due = Condition::all().add(ledger::Column::Due.lte(now)).add(
            Condition::any()
                .add(ledger::Column::TakenAt.is_null())
                .add(ledger::Column::TakenAt.lte(now - span(ABANDONED))),
        );
        let batch = Query::select()
            .column(ledger::Column::Id)
            .from(ledger::Entity)
            .cond_where(due.clone())
            .order_by(ledger::Column::Due, sea_orm::Order::Asc)
            .limit(most)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .to_owned();
        let tx = self.write().await?;
        let taken = ledger::Entity::update_many()
            .col_expr(ledger::Column::TakenAt, Expr::value(now))
            .filter(ledger::Column::Id.in_subquery(batch))
            .filter(due)
            .exec_with_returning(&*tx)
            .await?;
        tx.commit().await?;
        taken
            .into_iter()
            .map(|row| Ok(Condemned { id: row.id, upload: rows::id(row.upload_id)?, prefix: row.prefix, why: row.why }))
            .collect()
    }

    /// Strikes off what has been deleted.
    ///
    /// # Errors
    /// The database's; then it will be deleted once more, which does no harm.
    pub async fn strike_off(&self, condemned: &Condemned) -> Result<(), RecordsError> {
        let strike = async {
            let _turn = self.turn().await?;
            ledger::Entity::delete_by_id(condemned.id).exec(&self.db).await?;
            Ok::<_, RecordsError>(())
        };
        self.faults.watch("records", "strike_off", strike).await
    }
}

impl Writing {
    /// Enters what is under a prefix, to be deleted at `due` or later.
    pub(super) async fn condemn(&self, upload: i64, prefix: &str, why: &str, due: i64) -> Result<(), RecordsError> {
        let row = ledger::ActiveModel {
            id: Set(Uuid::now_v7()),
            upload_id: Set(upload),
            prefix: Set(prefix.to_owned()),
            why: Set(why.to_owned()),
            due: Set(due),
            taken_at: Set(None),
        };
        ledger::Entity::insert(row).exec_without_returning(&self.tx).await?;
        Ok(())
    }

    /// Enters what the attempts at a job may have written, now that its row does not vouch for it any more: all but what
    /// is `settled`. What is `over` goes at once, the rest when nobody can be writing there.
    pub(super) async fn condemn_attempts(
        &self,
        job: &jobs::Model,
        settled: Option<&str>,
        over: Option<&str>,
        now: i64,
    ) -> Result<(), RecordsError> {
        for prefix in job.prefixes.split_whitespace().filter(|prefix| Some(*prefix) != settled) {
            let due = if Some(prefix) == over { now } else { now + span(COLLECT_AFTER) };
            self.condemn(job.upload_id, prefix, "an attempt that was not settled", due).await?;
        }
        Ok(())
    }
}
