//! Idempotency keys: a request is done once, however often it is sent. The first request locks the key, and its
//! answer is stored. The upload that a request admits is recorded with the key in the same transaction. So the answer
//! can be given even if the process dies before it answers.
//!
//! A lock is short, and its request renews it, so that the key of a request whose process died is free again soon.
//! Every statement of a lock's holder contains the time when the lock began. So a holder that lost its key cannot
//! change what its successor stored.

use std::time::Duration;

use domain::{IdempotencyKey, IdempotencyKeyLock, IdempotencyLockResult, UploadId};
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, Set};

use crate::convert;
use crate::convert::millis;
use crate::entity::idempotency_keys as keys;
use crate::error::RecordsError;
use crate::records::Records;
use crate::write::TxEnd;
use crate::write_tx::WriteTx;

/// How long an answer is stored.
const KEY_TTL: Duration = Duration::from_secs(24 * 3600);

impl Records {
    /// Locks a key for a request that begins now, or returns the state of the key. The request loses the key after
    /// `lease` unless it renews the lock.
    ///
    /// # Errors
    /// Any database error. If the commit was lost, the key may be locked until `lease` ends.
    pub async fn lock_idempotency_key(
        &self,
        caller: &str,
        key: &str,
        lease: Duration,
    ) -> Result<IdempotencyLockResult, RecordsError> {
        self.write("lock_idempotency_key", async |tx| {
            let now = self.now_ms();
            let row = |since: i64| keys::ActiveModel {
                caller: Set(caller.to_owned()),
                key: Set(key.to_owned()),
                fingerprint: Set(None),
                upload_id: Set(None),
                response: Set(None),
                locked_at: Set(since),
                locked_until: Set(now + millis(lease)),
                expires_at: Set(now + millis(KEY_TTL)),
            };
            let acquired = |since: i64| {
                IdempotencyLockResult::Acquired(IdempotencyKeyLock {
                    caller: caller.to_owned(),
                    key: key.to_owned(),
                    locked_at: since,
                })
            };
            let inserted = keys::Entity::insert(row(now))
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(&tx.tx)
                .await?;
            if inserted > 0 {
                return Ok(TxEnd::Commit(acquired(now)));
            }
            let known =
                keys::Entity::find_by_id((caller.to_owned(), key.to_owned())).lock_exclusive().one(&tx.tx).await?;
            // The time at which a lock begins distinguishes it, so no two locks of a key begin in
            // the same millisecond.
            let since = known.as_ref().map_or(now, |known| Ord::max(now, known.locked_at + 1));
            if let Some(known) = known.filter(|known| known.expires_at > now) {
                match (known.fingerprint, known.response, known.upload_id) {
                    (Some(fingerprint), Some(response), _) => {
                        return Ok(TxEnd::Rollback(IdempotencyLockResult::Completed { fingerprint, response }));
                    }
                    _ if known.locked_until > now => {
                        let (since, until) =
                            (convert::timestamp(known.locked_at), convert::timestamp(known.locked_until));
                        return Ok(TxEnd::Rollback(IdempotencyLockResult::InFlight {
                            locked_at: since,
                            locked_until: until,
                        }));
                    }
                    (Some(fingerprint), None, Some(upload)) => {
                        return Ok(TxEnd::Rollback(IdempotencyLockResult::Admitted {
                            fingerprint,
                            upload: convert::upload_id(upload)?,
                        }));
                    }
                    _ => {}
                }
            }
            keys::Entity::delete_by_id((caller.to_owned(), key.to_owned())).exec(&tx.tx).await?;
            keys::Entity::insert(row(since)).exec_without_returning(&tx.tx).await?;
            Ok(TxEnd::Commit(acquired(since)))
        })
        .await
    }

    /// Extends a lock: it ends after `lease` from now. Returns false if this request does not hold the lock any more.
    ///
    /// # Errors
    /// Any database error; then the lock ends when it would have ended.
    pub async fn renew_idempotency_key(
        &self,
        lock: &IdempotencyKeyLock,
        lease: Duration,
    ) -> Result<bool, RecordsError> {
        self.write_statement("renew_idempotency_key", async |db| {
            let renewed = update_locked_key(lock)
                .col_expr(keys::Column::LockedUntil, Expr::value(self.now_ms() + millis(lease)))
                .filter(keys::Column::Response.is_null())
                .exec(db)
                .await?;
            Ok(renewed.rows_affected > 0)
        })
        .await
    }

    /// Stores an answer, unless another request has locked the key by now.
    ///
    /// # Errors
    /// Any database error; then the key stays in flight until its lock ends.
    pub async fn store_idempotent_response(&self, key: &IdempotencyKey, response: &str) -> Result<(), RecordsError> {
        self.write_statement("store_idempotent_response", async |db| {
            update_locked_key(&key.lock)
                .col_expr(keys::Column::Fingerprint, Expr::value(key.fingerprint.as_str()))
                .col_expr(keys::Column::Response, Expr::value(response))
                .exec(db)
                .await?;
            Ok(())
        })
        .await
    }

    /// Releases a key whose request was not answered, so that the request can be sent again. The key is deleted if the
    /// request admitted nothing. If it admitted an upload, the key keeps the number of the upload, so that the answer
    /// can be given from now on.
    ///
    /// # Errors
    /// Any database error; then the key stays in flight until its lock ends.
    pub async fn release_idempotency_key(&self, lock: &IdempotencyKeyLock) -> Result<(), RecordsError> {
        self.write("release_idempotency_key", async |tx| {
            keys::Entity::delete_many()
                .filter(is_locked_by(lock))
                .filter(keys::Column::Response.is_null())
                .filter(keys::Column::UploadId.is_null())
                .exec(&tx.tx)
                .await?;
            update_locked_key(lock)
                .col_expr(keys::Column::LockedUntil, Expr::value(self.now_ms()))
                .filter(keys::Column::Response.is_null())
                .exec(&tx.tx)
                .await?;
            Ok(TxEnd::Commit(()))
        })
        .await
    }

    /// Deletes up to `limit` expired keys, with their answers. Returns how many.
    ///
    /// # Errors
    /// Any database error.
    pub async fn delete_expired_idempotency_keys(&self, limit: u64) -> Result<u64, RecordsError> {
        self.write_statement("delete_expired_idempotency_keys", async |db| {
            let old = Condition::all().add(keys::Column::ExpiresAt.lte(self.now_ms()));
            let batch = Query::select()
                .columns([keys::Column::Caller, keys::Column::Key])
                .from(keys::Entity)
                .cond_where(old.clone())
                .limit(limit)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .to_owned();
            let batch = Expr::tuple([Expr::col(keys::Column::Caller), Expr::col(keys::Column::Key)]).in_subquery(batch);
            Ok(keys::Entity::delete_many().filter(batch).filter(old).exec(db).await?.rows_affected)
        })
        .await
    }
}

impl WriteTx {
    /// Records which upload a request admitted.
    ///
    /// # Errors
    /// [`RecordsError::KeyLost`] if another request has locked the key by now: that request is going to admit the
    /// upload.
    pub(crate) async fn record_admitted_upload(
        &self,
        key: &IdempotencyKey,
        upload: UploadId,
    ) -> Result<(), RecordsError> {
        let noted = update_locked_key(&key.lock)
            .col_expr(keys::Column::Fingerprint, Expr::value(key.fingerprint.as_str()))
            .col_expr(keys::Column::UploadId, Expr::value(upload.get()))
            .exec(&self.tx)
            .await?;
        if noted.rows_affected > 0 { Ok(()) } else { Err(RecordsError::KeyLost) }
    }
}

fn update_locked_key(lock: &IdempotencyKeyLock) -> sea_orm::UpdateMany<keys::Entity> {
    keys::Entity::update_many().filter(is_locked_by(lock))
}

/// Selects the row of a key if this request holds its lock.
fn is_locked_by(lock: &IdempotencyKeyLock) -> Condition {
    Condition::all()
        .add(keys::Column::Caller.eq(lock.caller.as_str()))
        .add(keys::Column::Key.eq(lock.key.as_str()))
        .add(keys::Column::LockedAt.eq(lock.locked_at))
}
