//! Renderings of a ready picture: looking one up, wanting one that is not there yet, and ending the job that makes it.

use std::time::Duration;

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set, UpdateMany};
use uuid::Uuid;

use super::attempt::Attempt;
use super::entity::{jobs, uploads, variants};
use super::principals::{Change, Changes, Usage};
use super::settle::{Settled, variant_row};
use super::{Records, RecordsError, Writing, rows};
use crate::job::{Job, Ticket};
use crate::upload::{Reason, State, UploadId, Variant};
use crate::{JobId, VariantName, trace};

/// What there is when a variant is asked for.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// It is there.
    Made(Variant),
    /// Somebody asked before; this job is to make it.
    Coming(JobId),
    /// Nobody had asked; this ticket is to be published.
    Ordered(Ticket),
    /// It cannot be made.
    Refused(Reason),
    /// It was not made, and the job that was to make it is a dead letter.
    Failed(Reason),
    /// The picture has expired or was cropped anew since the caller looked at it.
    Outdated,
}

/// The most variants of odd sizes that one picture can have under one crop, so that nobody fills the store by counting
/// through the sizes. Anybody may ask for an avatar's, so the usual ones are not among them.
const MOST_ODD: usize = 24;

/// After this long the job that makes a variant is given up. No upload's deadline ends it, and its client has gone; the
/// next request for the size orders it anew.
const GIVE_UP_AFTER: Duration = Duration::from_secs(600);

impl Records {
    /// The variant, or the job that will make it, ordered in this transaction if need be.
    ///
    /// # Errors
    /// The database's.
    pub async fn want_variant(
        &self,
        upload: UploadId,
        generation: u32,
        name: VariantName,
    ) -> Result<Wanted, RecordsError> {
        let key = (upload.get(), rows::stored_pixels(generation), name.to_string());
        if let Some(row) = variants::Entity::find_by_id(key.clone()).one(&self.db).await? {
            return wanted(&row);
        }
        self.faults.watch("records", "want_variant", self.order_variant(upload, generation, name)).await
    }

    async fn order_variant(
        &self,
        upload: UploadId,
        generation: u32,
        name: VariantName,
    ) -> Result<Wanted, RecordsError> {
        let now = self.now_ms();
        let tx = self.write().await?;
        let siblings = variants::Entity::find()
            .filter(variants::Column::UploadId.eq(upload.get()))
            .filter(variants::Column::Generation.eq(rows::stored_pixels(generation)));
        if !name.is_usual() {
            let names = siblings.clone().select_only().column(variants::Column::Name).into_tuple::<String>();
            let odd = |name: &String| !name.parse().is_ok_and(VariantName::is_usual);
            if names.all(&*tx).await?.iter().filter(|name| odd(name)).count() >= MOST_ODD {
                let usual = VariantName::USUAL.map(|size| size.to_string()).join(", ");
                let why = format!(
                    "{MOST_ODD} odd sizes of this picture exist, which is the limit; ask for {usual} or one of them"
                );
                return Ok(Wanted::Refused(Reason::new("too_many_variants", why)));
            }
        }
        // Locked until this is committed: an order for a picture that expires meanwhile would outlive the picture.
        let original = uploads::Entity::find_by_id(upload.get()).lock_shared().one(&*tx).await?;
        let current = |row: &uploads::Model| {
            row.state == State::Ready.as_str() && row.generation == rows::stored_pixels(generation)
        };
        let Some(original) = original.filter(current) else { return Ok(Wanted::Outdated) };
        let (owner, estimate) = (original.owner.clone(), rows::estimate(&original));
        let ticket = Ticket::new(Uuid::now_v7(), Job::MakeVariant { upload, generation, variant: name });
        let row = variants::ActiveModel {
            upload_id: Set(upload.get()),
            generation: Set(rows::stored_pixels(generation)),
            name: Set(name.to_string()),
            job: Set(Some(ticket.id)),
            created_at: Set(now),
            ..Default::default()
        };
        let ordered = variants::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&*tx)
            .await?;
        if ordered == 0 {
            // Somebody was faster; their row is committed, or this insert would have waited for it.
            drop(tx);
            let row = siblings.filter(variants::Column::Name.eq(name.to_string())).one(&self.db).await?;
            return row.map_or(Ok(Wanted::Outdated), |row| wanted(&row));
        }
        let held = Usage::from(tx.change(&owner, Change::jobs(false, 1)).await?);
        let lane = self.routing.lane(&ticket.job, held.uploads + held.variants, estimate);
        let ticket = Ticket { lane, principal: owner, trace: trace::here(), ..ticket };
        tx.promise(&ticket, GIVE_UP_AFTER, now).await?;
        tx.commit().await?;
        Ok(Wanted::Ordered(ticket))
    }

    /// The variant has been made.
    ///
    /// # Errors
    /// The database's; then nothing was settled.
    pub async fn settle_variant(
        &self,
        attempt: &Attempt,
        generation: u32,
        made: &Variant,
    ) -> Result<Settled, RecordsError> {
        self.faults.watch("records", "settle_variant", self.settle_variant_in_one(attempt, generation, made)).await
    }

    async fn settle_variant_in_one(
        &self,
        attempt: &Attempt,
        generation: u32,
        made: &Variant,
    ) -> Result<Settled, RecordsError> {
        let now = self.now_ms();
        let tx = self.write().await?;
        if !tx.finish_job(attempt, Some(&attempt.prefix), now).await? {
            return Ok(Settled::Void);
        }
        let row = variant_row(attempt.upload.id, generation, made, now);
        let settled = variants::Entity::update_many()
            .set(row)
            .filter(variants::Column::UploadId.eq(attempt.upload.id.get()))
            .filter(variants::Column::Generation.eq(rows::stored_pixels(generation)))
            .filter(variants::Column::Name.eq(made.name.to_string()))
            // Its bytes are counted once: not for a row that was ordered anew since.
            .filter(variants::Column::Job.eq(attempt.ticket.id))
            .exec(&*tx)
            .await?;
        if settled.rows_affected == 0 {
            return Ok(Settled::Void);
        }
        tx.tell_end(attempt, now, "variant", &made.name.to_string()).await?;
        let mut changes = Changes::ended(attempt);
        changes.bytes(&attempt.upload.owner, i64::try_from(made.bytes).unwrap_or(i64::MAX));
        tx.count(changes).await?;
        tx.commit().await?;
        Ok(Settled::Counted)
    }

    /// The variant cannot be made, for a reason that will not pass.
    ///
    /// # Errors
    /// The database's; then nothing was settled.
    pub async fn refuse_variant(&self, attempt: &Attempt, reason: &Reason) -> Result<Settled, RecordsError> {
        self.faults.watch("records", "refuse_variant", self.refuse_variant_in_one(attempt, reason)).await
    }

    async fn refuse_variant_in_one(&self, attempt: &Attempt, reason: &Reason) -> Result<Settled, RecordsError> {
        let now = self.now_ms();
        let tx = self.write().await?;
        if !tx.finish_job(attempt, None, now).await? {
            return Ok(Settled::Void);
        }
        let nobody: Option<JobId> = None;
        ordered(attempt, reason).col_expr(variants::Column::Job, Expr::value(nobody)).exec(&*tx).await?;
        tx.tell_end(attempt, now, "variant refused", &reason.why).await?;
        tx.count(Changes::ended(attempt)).await?;
        tx.commit().await?;
        Ok(Settled::Counted)
    }

    /// The variants that are there, of one crop, by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn variants(&self, upload: UploadId, generation: u32) -> Result<Vec<Variant>, RecordsError> {
        let rows = variants::Entity::find()
            .filter(variants::Column::UploadId.eq(upload.get()))
            .filter(variants::Column::Generation.eq(rows::stored_pixels(generation)))
            .order_by_asc(variants::Column::Name)
            .all(&self.db)
            .await?;
        rows.iter().filter_map(|row| rows::variant(row).transpose()).collect()
    }

    /// The job that is to settle an upload, while there is one.
    ///
    /// # Errors
    /// The database's.
    pub async fn open_job(&self, upload: UploadId) -> Result<Option<JobId>, RecordsError> {
        let job = jobs::Entity::find()
            .filter(jobs::Column::UploadId.eq(upload.get()))
            .filter(jobs::Column::State.eq("queued"))
            .filter(jobs::Column::Kind.contains(".process."))
            .one(&self.db)
            .await?;
        Ok(job.map(|job| job.id))
    }
}

impl Writing {
    /// Whoever waits for the size that a dead job was to make is told why it does not come, until it is tried again.
    pub(super) async fn fail_ordered(&self, attempt: &Attempt, reason: &Reason) -> Result<(), RecordsError> {
        ordered(attempt, reason).exec(&self.tx).await?;
        Ok(())
    }
}

/// Says of the size that the attempt was to make why it does not come.
fn ordered(attempt: &Attempt, reason: &Reason) -> UpdateMany<variants::Entity> {
    variants::Entity::update_many()
        .col_expr(variants::Column::Why, Expr::value(format!("{}: {}", reason.code, reason.why)))
        .filter(variants::Column::UploadId.eq(attempt.upload.id.get()))
        .filter(variants::Column::Job.eq(attempt.ticket.id))
}

fn wanted(row: &variants::Model) -> Result<Wanted, RecordsError> {
    if let Some(variant) = rows::variant(row)? {
        return Ok(Wanted::Made(variant));
    }
    let reason = |why: &str| {
        let (code, why) = why.split_once(": ").unwrap_or(("failed", why));
        Reason::new(code, why)
    };
    Ok(match (&row.why, row.job) {
        (None, Some(job)) => Wanted::Coming(job),
        (Some(why), Some(_)) => Wanted::Failed(reason(why)),
        (why, None) => Wanted::Refused(reason(why.as_deref().unwrap_or_default())),
    })
}
