//! Requests that are done once, however often they are sent: a key is held by the first, and remembers its answer. The
//! upload that a request admits is noted with it in the same transaction, so that a process which dies before it answers
//! leaves a key from which the answer can still be told.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, Set};

use super::entity::idempotency_keys as keys;
use super::{Records, RecordsError, Writing, rows, span};
use crate::document::{Held, OnceKey};
use crate::upload::UploadId;

/// How long an answer is remembered.
const REMEMBER: Duration = Duration::from_secs(24 * 3600);

impl Records {
    /// Takes a key for a request that begins now and is given up for dead after `hold`, or says what is known of it.
    ///
    /// # Errors
    /// The database's; then the key is not held.
    pub async fn hold_key(&self, caller: &str, key: &str, hold: Duration) -> Result<Held, RecordsError> {
        self.faults.watch("records", "hold_key", self.hold_key_in_one(caller, key, hold)).await
    }

    async fn hold_key_in_one(&self, caller: &str, key: &str, hold: Duration) -> Result<Held, RecordsError> {
        let now = self.now_ms();
        let row = keys::ActiveModel {
            caller: Set(caller.to_owned()),
            key: Set(key.to_owned()),
            fingerprint: Set(None),
            upload_id: Set(None),
            answer: Set(None),
            created_at: Set(now),
            held_until: Set(now + span(hold)),
            expires_at: Set(now + span(REMEMBER)),
        };
        let tx = self.write().await?;
        let fresh = keys::Entity::insert(row.clone())
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&*tx)
            .await?;
        if fresh > 0 {
            tx.commit().await?;
            return Ok(Held::Fresh);
        }
        let known = keys::Entity::find_by_id((caller.to_owned(), key.to_owned())).lock_exclusive().one(&*tx).await?;
        let held = match known {
            Some(known) if known.expires_at > now => match (known.fingerprint, known.answer, known.upload_id) {
                (Some(fingerprint), Some(answer), _) => Held::Answered { fingerprint, answer },
                _ if known.held_until > now => Held::InFlight(rows::at(known.held_until)),
                (Some(fingerprint), None, Some(upload)) => Held::Admitted { fingerprint, upload: rows::id(upload)? },
                _ => Held::Fresh,
            },
            _ => Held::Fresh,
        };
        if held == Held::Fresh {
            keys::Entity::delete_by_id((caller.to_owned(), key.to_owned())).exec(&*tx).await?;
            keys::Entity::insert(row).exec_without_returning(&*tx).await?;
            tx.commit().await?;
        }
        Ok(held)
    }

    /// Remembers an answer.
    ///
    /// # Errors
    /// The database's; then the key stays in flight until it is given up.
    pub async fn note_answer(&self, once: &OnceKey, answer: &str) -> Result<(), RecordsError> {
        let _turn = self.turn().await?;
        of(&once.caller, &once.key)
            .col_expr(keys::Column::Fingerprint, Expr::value(once.fingerprint.as_str()))
            .col_expr(keys::Column::Answer, Expr::value(answer))
            .exec(&self.db)
            .await?;
        Ok(())
    }

    /// Lets go of a key whose request was not answered, so that it can be sent again: one that admitted nothing is
    /// forgotten, and from one that admitted an upload the answer can be told from now on.
    ///
    /// # Errors
    /// The database's; then the key stays in flight until it is given up.
    pub async fn let_go_of_key(&self, caller: &str, key: &str) -> Result<(), RecordsError> {
        let tx = self.write().await?;
        keys::Entity::delete_many()
            .filter(keys::Column::Caller.eq(caller))
            .filter(keys::Column::Key.eq(key))
            .filter(keys::Column::Answer.is_null())
            .filter(keys::Column::UploadId.is_null())
            .exec(&*tx)
            .await?;
        of(caller, key)
            .col_expr(keys::Column::HeldUntil, Expr::value(self.now_ms()))
            .filter(keys::Column::Answer.is_null())
            .exec(&*tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets up to `most` answers that are old enough. Returns how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget_answers(&self, most: u64) -> Result<u64, RecordsError> {
        let old = Condition::all().add(keys::Column::ExpiresAt.lte(self.now_ms()));
        let batch = Query::select()
            .columns([keys::Column::Caller, keys::Column::Key])
            .from(keys::Entity)
            .cond_where(old.clone())
            .limit(most)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .to_owned();
        let batch = Expr::tuple([Expr::col(keys::Column::Caller), Expr::col(keys::Column::Key)]).in_subquery(batch);
        let _turn = self.turn().await?;
        Ok(keys::Entity::delete_many().filter(batch).filter(old).exec(&self.db).await?.rows_affected)
    }
}

impl Writing {
    /// Writes down which upload a request admitted.
    pub(super) async fn note_admission(&self, once: &OnceKey, upload: UploadId) -> Result<(), RecordsError> {
        of(&once.caller, &once.key)
            .col_expr(keys::Column::Fingerprint, Expr::value(once.fingerprint.as_str()))
            .col_expr(keys::Column::UploadId, Expr::value(upload.get()))
            .exec(&self.tx)
            .await?;
        Ok(())
    }
}

fn of(caller: &str, key: &str) -> sea_orm::UpdateMany<keys::Entity> {
    keys::Entity::update_many().filter(keys::Column::Caller.eq(caller)).filter(keys::Column::Key.eq(key))
}
