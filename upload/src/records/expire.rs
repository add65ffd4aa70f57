//! Letting go: what nobody claimed in time, and what nobody settled in time. A batch is one statement that picks and
//! changes in one, so that several sweepers share the work and none waits for another.

use std::collections::{BTreeMap, HashMap};

use sea_orm::sea_query::{Expr, LockBehavior, LockType, Query, SelectStatement};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};

use super::entity::{jobs, uploads, variants};
use super::principals::Changes;
use super::{Records, RecordsError, rows};
use crate::Backend;
use crate::blobs::Blobs;
use crate::upload::{Event, JobId, Kind, Reason, State, UploadId};

impl Records {
    /// Expires up to `most` uploads whose time is over and that nobody claimed, and condemns their bytes. Returns them.
    ///
    /// # Errors
    /// The database's; then none of the batch has expired.
    pub async fn expire(&self, most: u64) -> Result<Vec<UploadId>, RecordsError> {
        self.faults.watch("records", "expire", self.expire_in_one(most)).await
    }

    async fn expire_in_one(&self, most: u64) -> Result<Vec<UploadId>, RecordsError> {
        let now = self.now_ms();
        let unclaimed = Condition::all()
            .add(uploads::Column::ExpiresAt.lte(now))
            .add(uploads::Column::ClaimedAt.is_null())
            .add(uploads::Column::State.is_in([State::Accepted.as_str(), State::Ready.as_str()]));
        let tx = self.write().await?;
        let expired = uploads::Entity::update_many()
            .col_expr(uploads::Column::State, Expr::value(State::Expired.as_str()))
            .col_expr(uploads::Column::SettledAt, Expr::value(now))
            .col_expr(uploads::Column::Code, Expr::value("unclaimed"))
            .col_expr(uploads::Column::Why, Expr::value("nobody claimed it in time"))
            .filter(uploads::Column::Id.in_subquery(batch(uploads::Column::ExpiresAt, unclaimed.clone(), most)))
            .filter(unclaimed)
            .exec_with_returning(&*tx)
            .await?;
        let mut gone = Vec::with_capacity(expired.len());
        for row in &expired {
            let id = rows::id(row.id)?;
            for prefix in Blobs::all_of(id, row.original_key.as_deref()) {
                tx.condemn(row.id, &prefix, "unclaimed", now).await?;
            }
            tx.tell(id, [Event::new(rows::at(now), "expired", "nobody claimed it in time")]).await?;
            gone.push(id);
        }
        let raw = || gone.iter().map(|id| id.get());
        let ended = jobs::Entity::delete_many().filter(jobs::Column::UploadId.is_in(raw()));
        let mut changes = Changes::default();
        let mut owners: HashMap<i64, &str> = expired.iter().map(|row| (row.id, row.owner.as_str())).collect();
        for job in ended.exec_with_returning(&*tx).await? {
            // Somebody may be at it still.
            tx.condemn_attempts(&job, None, None, now).await?;
            if job.state == "queued" {
                changes.no_longer_queued(&job);
                if job.principal.is_empty() && job.kind.contains(".process.") {
                    // An older version admitted it, and did not count its bytes.
                    owners.remove(&job.upload_id);
                }
            }
        }
        for row in expired.iter().filter(|row| owners.contains_key(&row.id)) {
            changes.bytes(&row.owner, -row.bytes);
        }
        let made = variants::Entity::delete_many().filter(variants::Column::UploadId.is_in(raw()));
        for variant in made.exec_with_returning(&*tx).await? {
            let owner = owners.get(&variant.upload_id).copied().unwrap_or_default();
            changes.bytes(owner, -variant.bytes.unwrap_or_default());
        }
        tx.count(changes).await?;
        tx.commit().await?;
        Ok(gone)
    }

    /// Settles as failed up to `most` uploads that are still waiting past their deadline, and buries their jobs, whose
    /// last error stays with them. Returns the uploads and the jobs, whose waiters are to be told the reason.
    ///
    /// # Errors
    /// The database's; then none of the batch has been settled.
    pub async fn fail_overdue(&self, most: u64) -> Result<Vec<(UploadId, JobId, Reason)>, RecordsError> {
        self.faults.watch("records", "fail_overdue", self.fail_overdue_in_one(most)).await
    }

    async fn fail_overdue_in_one(&self, most: u64) -> Result<Vec<(UploadId, JobId, Reason)>, RecordsError> {
        let now = self.now_ms();
        let overdue = Condition::all()
            .add(uploads::Column::Deadline.lte(now))
            .add(uploads::Column::State.eq(State::Accepted.as_str()));
        let reason = overdue_because(None);
        let tx = self.write().await?;
        let failed = uploads::Entity::update_many()
            .col_expr(uploads::Column::State, Expr::value(State::Failed.as_str()))
            .col_expr(uploads::Column::SettledAt, Expr::value(now))
            .col_expr(uploads::Column::Code, Expr::value(reason.code.as_str()))
            .col_expr(uploads::Column::Why, Expr::value(reason.why.as_str()))
            .filter(uploads::Column::Id.in_subquery(batch(uploads::Column::Deadline, overdue.clone(), most)))
            .filter(overdue)
            .exec_with_returning(&*tx)
            .await?;
        let ids: Vec<i64> = failed.iter().map(|row| row.id).collect();
        let placed = failed.iter().filter(|row| row.kind != Kind::Dropbox.as_str()).map(|row| row.id);
        tx.release_places(&placed.collect::<Vec<_>>(), now).await?;
        let buried = jobs::Entity::update_many()
            .col_expr(jobs::Column::State, Expr::value("dead"))
            .col_expr(jobs::Column::LeasedUntil, Expr::value(Option::<i64>::None))
            .filter(jobs::Column::UploadId.is_in(ids))
            .filter(jobs::Column::State.eq("queued"))
            .exec_with_returning(&*tx)
            .await?;
        let mut told = Vec::with_capacity(buried.len());
        let mut blamed: BTreeMap<&'static str, (Reason, Vec<i64>)> = BTreeMap::new();
        let mut changes = Changes::default();
        let sent: HashMap<i64, i64> = failed.iter().map(|row| (row.id, row.bytes)).collect();
        for job in buried {
            changes.no_longer_queued(&job);
            changes.bytes(&job.principal, -sent.get(&job.upload_id).copied().unwrap_or_default());
            tx.condemn_attempts(&job, None, None, now).await?;
            let id = rows::id(job.upload_id)?;
            let failing = failing(&job);
            let reason = overdue_because(failing);
            if let Some(failing) = failing {
                blamed.entry(failing.as_str()).or_insert_with(|| (reason.clone(), Vec::new())).1.push(job.upload_id);
            }
            let detail = job.last_error.map_or_else(|| reason.why.clone(), |error| format!("last error: {error}"));
            tx.tell(id, [Event::new(rows::at(now), "failed at the deadline", detail)]).await?;
            told.push((id, job.id, reason));
        }
        for (reason, uploads) in blamed.into_values() {
            uploads::Entity::update_many()
                .col_expr(uploads::Column::Why, Expr::value(reason.why))
                .filter(uploads::Column::Id.is_in(uploads))
                .exec(&*tx)
                .await?;
        }
        tx.count(changes).await?;
        tx.commit().await?;
        Ok(told)
    }

    /// Gives up to `most` jobs up that make a variant and have taken too long. The next request for the size orders it
    /// anew. Returns the uploads and the jobs, whose waiters are to be told the reason.
    ///
    /// # Errors
    /// The database's; then none of the batch has been given up.
    pub async fn give_up_variants(&self, most: u64) -> Result<Vec<(UploadId, JobId, Reason)>, RecordsError> {
        self.faults.watch("records", "give_up_variants", self.give_up_variants_in_one(most)).await
    }

    async fn give_up_variants_in_one(&self, most: u64) -> Result<Vec<(UploadId, JobId, Reason)>, RecordsError> {
        let now = self.now_ms();
        let overdue = Condition::all().add(jobs::Column::GiveUpAt.lte(now)).add(jobs::Column::State.eq("queued"));
        let batch = Query::select()
            .column(jobs::Column::Id)
            .from(jobs::Entity)
            .cond_where(overdue.clone())
            .order_by(jobs::Column::GiveUpAt, sea_orm::Order::Asc)
            .limit(most)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .to_owned();
        let tx = self.write().await?;
        let given_up = jobs::Entity::delete_many()
            .filter(jobs::Column::Id.in_subquery(batch))
            .filter(overdue)
            .exec_with_returning(&*tx)
            .await?;
        let mut told = Vec::with_capacity(given_up.len());
        let mut changes = Changes::default();
        for job in given_up {
            changes.no_longer_queued(&job);
            // A worker may be at it still.
            tx.condemn_attempts(&job, None, None, now).await?;
            variants::Entity::delete_many()
                .filter(variants::Column::UploadId.eq(job.upload_id))
                .filter(variants::Column::Job.eq(job.id))
                .filter(variants::Column::Key.is_null())
                .exec(&*tx)
                .await?;
            let id = rows::id(job.upload_id)?;
            let reason = overdue_because(failing(&job));
            let detail = job.last_error.map_or_else(|| reason.why.clone(), |error| format!("last error: {error}"));
            tx.tell(id, [Event::new(rows::at(now), "variant given up", detail)]).await?;
            told.push((id, job.id, reason));
        }
        tx.count(changes).await?;
        tx.commit().await?;
        Ok(told)
    }
}

/// The backend that kept a job from being done, as far as its row knows.
fn failing(job: &jobs::Model) -> Option<Backend> {
    match &job.waits_for {
        Some(backend) => backend.parse().ok(),
        // No worker has ever had it, and the queue has confirmed no message though the sweeper has sent one.
        None if job.attempts == 0 && job.published_at.is_none() && job.publishes > 0 => Some(Backend::Queue),
        None => None,
    }
}

/// Why something was not done by its deadline, in words for its client.
fn overdue_because(failing: Option<Backend>) -> Reason {
    let why = match failing {
        Some(backend) => format!("not processed by its deadline, because {} failed", backend.described()),
        None => "no worker settled this upload before its deadline".to_owned(),
    };
    Reason::new("deadline", format!("{why}; try again, or ask the operator to"))
}

/// The ids of the `most` oldest uploads by `order` that are so; rows another sweeper holds are passed over.
fn batch(order: uploads::Column, so: Condition, most: u64) -> SelectStatement {
    Query::select()
        .column(uploads::Column::Id)
        .from(uploads::Entity)
        .cond_where(so)
        .order_by(order, sea_orm::Order::Asc)
        .limit(most)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .to_owned()
}
