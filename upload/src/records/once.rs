//! Requests that are done once, however often they are sent: a key is held by the first, and remembers its answer. The
//! upload that a request admits is noted with it in the same transaction, so that a process which dies before it answers
//! leaves a key from which the answer can still be told.
//!
//! A hold is short and renewed by the request that has it, so that a key whose process died is free again soon. Every
//! statement of a holder names when its hold began: a holder that lost its key changes nothing of its successor's.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, Set};

use super::entity::idempotency_keys as keys;
use super::{Records, RecordsError, Writing, rows, span};
use crate::document::{Held, KeyHold, OnceKey};
use crate::upload::UploadId;

/// How long an answer is remembered.
const REMEMBER: Duration = Duration::from_secs(24 * 3600);

impl Records {
    /// Takes a key for a request that begins now, or says what is known of it. The request loses the key after `hold`
    /// unless it renews it.
    ///
    /// # Errors
    /// The database's. If the commit was lost on its way, the key may be held until `hold` ends.
    pub async fn hold_key(&self, caller: &str, key: &str, hold: Duration) -> Result<Held, RecordsError> {
        self.faults.watch("records", "hold_key", self.hold_key_in_one(caller, key, hold)).await
    }

    async fn hold_key_in_one(&self, caller: &str, key: &str, hold: Duration) -> Result<Held, RecordsError> {
        let now = self.now_ms();
        let row = |since: i64| keys::ActiveModel {
            caller: Set(caller.to_owned()),
            key: Set(key.to_owned()),
            fingerprint: Set(None),
            upload_id: Set(None),
            answer: Set(None),
            created_at: Set(since),
            held_until: Set(now + span(hold)),
            expires_at: Set(now + span(REMEMBER)),
        };
        let fresh = |since: i64| Held::Fresh(KeyHold { caller: caller.to_owned(), key: key.to_owned(), since });
        let tx = self.write().await?;
        let inserted = keys::Entity::insert(row(now))
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&*tx)
            .await?;
        if inserted > 0 {
            tx.commit().await?;
            return Ok(fresh(now));
        }
        let known = keys::Entity::find_by_id((caller.to_owned(), key.to_owned())).lock_exclusive().one(&*tx).await?;
        // No two holds of a key begin in the same millisecond, because that tells them apart.
        let since = known.as_ref().map_or(now, |known| Ord::max(now, known.created_at + 1));
        if let Some(known) = known.filter(|known| known.expires_at > now) {
            match (known.fingerprint, known.answer, known.upload_id) {
                (Some(fingerprint), Some(answer), _) => return Ok(Held::Answered { fingerprint, answer }),
                _ if known.held_until > now => {
                    let (since, until) = (rows::at(known.created_at), rows::at(known.held_until));
                    return Ok(Held::InFlight { since, until });
                }
                (Some(fingerprint), None, Some(upload)) => {
                    return Ok(Held::Admitted { fingerprint, upload: rows::id(upload)? });
                }
                _ => {}
            }
        }
        keys::Entity::delete_by_id((caller.to_owned(), key.to_owned())).exec(&*tx).await?;
        keys::Entity::insert(row(since)).exec_without_returning(&*tx).await?;
        tx.commit().await?;
        Ok(fresh(since))
    }

    /// Extends a hold: it ends after `hold` from now. False if the key is not held by this request any more.
    ///
    /// # Errors
    /// The database's; then the hold ends when it would have ended.
    pub async fn renew_key(&self, held: &KeyHold, hold: Duration) -> Result<bool, RecordsError> {
        let renew = async {
            let _turn = self.turn().await?;
            let renewed = of(held)
                .col_expr(keys::Column::HeldUntil, Expr::value(self.now_ms() + span(hold)))
                .filter(keys::Column::Answer.is_null())
                .exec(&self.db)
                .await?;
            Ok::<_, RecordsError>(renewed.rows_affected > 0)
        };
        self.faults.watch("records", "renew_key", renew).await
    }

    /// Remembers an answer, unless another request holds the key by now.
    ///
    /// # Errors
    /// The database's; then the key stays in flight until its hold ends.
    pub async fn note_answer(&self, once: &OnceKey, answer: &str) -> Result<(), RecordsError> {
        let note = async {
            let _turn = self.turn().await?;
            of(&once.hold)
                .col_expr(keys::Column::Fingerprint, Expr::value(once.fingerprint.as_str()))
                .col_expr(keys::Column::Answer, Expr::value(answer))
                .exec(&self.db)
                .await?;
            Ok::<_, RecordsError>(())
        };
        self.faults.watch("records", "note_answer", note).await
    }

    /// Lets go of a key whose request was not answered, so that it can be sent again: one that admitted nothing is
    /// forgotten, and from one that admitted an upload the answer can be told from now on.
    ///
    /// # Errors
    /// The database's; then the key stays in flight until its hold ends.
    pub async fn let_go_of_key(&self, held: &KeyHold) -> Result<(), RecordsError> {
        self.faults.watch("records", "let_go_of_key", self.let_go_of_key_in_one(held)).await
    }

    async fn let_go_of_key_in_one(&self, held: &KeyHold) -> Result<(), RecordsError> {
        let tx = self.write().await?;
        keys::Entity::delete_many()
            .filter(held_by(held))
            .filter(keys::Column::Answer.is_null())
            .filter(keys::Column::UploadId.is_null())
            .exec(&*tx)
            .await?;
        of(held)
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
        let forget = async {
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
            Ok::<_, RecordsError>(
                keys::Entity::delete_many().filter(batch).filter(old).exec(&self.db).await?.rows_affected,
            )
        };
        self.faults.watch("records", "forget_answers", forget).await
    }
}

impl Writing {
    /// Writes down which upload a request admitted.
    ///
    /// # Errors
    /// [`RecordsError::KeyLost`] if another request holds the key by now: that one is going to admit the upload.
    pub(super) async fn note_admission(&self, once: &OnceKey, upload: UploadId) -> Result<(), RecordsError> {
        let noted = of(&once.hold)
            .col_expr(keys::Column::Fingerprint, Expr::value(once.fingerprint.as_str()))
            .col_expr(keys::Column::UploadId, Expr::value(upload.get()))
            .exec(&self.tx)
            .await?;
        if noted.rows_affected > 0 { Ok(()) } else { Err(RecordsError::KeyLost) }
    }
}

fn of(held: &KeyHold) -> sea_orm::UpdateMany<keys::Entity> {
    keys::Entity::update_many().filter(held_by(held))
}

/// The row of a key, if this request and no later one holds it.
fn held_by(held: &KeyHold) -> Condition {
    Condition::all()
        .add(keys::Column::Caller.eq(held.caller.as_str()))
        .add(keys::Column::Key.eq(held.key.as_str()))
        .add(keys::Column::CreatedAt.eq(held.since))
}
