//! Sessions: one row for each login and each issued bearer token, with an absolute end.
//!
//! A session is ended by deleting its row. All sessions of a user are ended by raising the user's
//! epoch, because each session's row contains the epoch in which it began. This is one statement
//! for any number of sessions. A changed password raises the epoch in the same statement
//! ([`upsert_user`](Records::upsert_user)). Rows of sessions that ended by time are removed by the
//! sweeper.

use jiff::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, JoinType, QueryFilter, QuerySelect, RelationDef};
use uuid::Uuid;

use crate::convert;
use crate::entity::{sessions, users};
use crate::error::RecordsError;
use crate::records::Records;
use crate::users::{Role, User};

/// A session's row, together with the account it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// The user's id.
    pub user: String,
    /// The user's role now.
    pub role: Role,
    /// Whether the account is disabled now.
    pub disabled: bool,
    /// Whether all sessions of the user were ended after this one began.
    pub revoked: bool,
    /// The absolute end, which no renewal moves.
    pub ends_at: Timestamp,
}

impl Records {
    /// Adds a session of `user`. Returns false, and adds nothing, if the account was disabled or its password was
    /// changed after `user` was read: a login that verified the former password must not outlive the change.
    ///
    /// # Errors
    /// Any database error.
    pub async fn add_session(&self, id: Uuid, user: &User, ends_at: Timestamp) -> Result<bool, RecordsError> {
        self.write_statement("add_session", async |db| {
            let new_row = Query::select()
                .expr(Expr::value(id))
                .column(users::Column::Id)
                .column(users::Column::SessionEpoch)
                .expr(Expr::value(self.now_ms()))
                .expr(Expr::value(ends_at.as_millisecond()))
                .from(users::Entity)
                .and_where(users::Column::Id.eq(user.id.as_str()))
                .and_where(users::Column::PasswordHash.eq(user.password_hash.as_str()))
                .and_where(users::Column::DisabledAt.is_null())
                .to_owned();
            use sessions::Column::{CreatedAt, EndsAt, Epoch, Id, UserId};
            let mut insert = Query::insert();
            insert.into_table(sessions::Entity).columns([Id, UserId, Epoch, CreatedAt, EndsAt]);
            insert.select_from(new_row).map_err(|error| DbErr::Custom(error.to_string()))?;
            Ok(db.execute(&insert).await?.rows_affected() > 0)
        })
        .await
    }

    /// The row of a session. None if the session was ended, or if the sweeper has removed the row. A session whose
    /// absolute end has passed still has its row until then.
    ///
    /// # Errors
    /// Any database error.
    pub async fn session(&self, id: Uuid) -> Result<Option<SessionRow>, RecordsError> {
        let account: RelationDef =
            sessions::Entity::belongs_to(users::Entity).from(sessions::Column::UserId).to(users::Column::Id).into();
        let found: Option<(String, i64, i64, i64, String, Option<i64>)> = sessions::Entity::find_by_id(id)
            .select_only()
            .columns([sessions::Column::UserId])
            .columns([sessions::Column::EndsAt, sessions::Column::Epoch])
            .columns([users::Column::SessionEpoch, users::Column::Role, users::Column::DisabledAt])
            .join(JoinType::InnerJoin, account)
            .into_tuple()
            .one(&self.db)
            .await?;
        let Some((user, ends_at, epoch, current, role, disabled_at)) = found else { return Ok(None) };
        let (revoked, disabled) = (epoch != current, disabled_at.is_some());
        Ok(Some(SessionRow { user, role: role.parse()?, disabled, revoked, ends_at: convert::timestamp(ends_at) }))
    }

    /// Ends a session. Ending one that has ended does nothing.
    ///
    /// # Errors
    /// Any database error.
    pub async fn end_session(&self, id: Uuid) -> Result<(), RecordsError> {
        self.write_statement("end_session", async |db| {
            sessions::Entity::delete_by_id(id).exec(db).await?;
            Ok(())
        })
        .await
    }

    /// Ends all sessions of a user. Returns whether there is such a user.
    ///
    /// # Errors
    /// Any database error.
    pub async fn end_sessions(&self, user: &str) -> Result<bool, RecordsError> {
        self.write_statement("end_sessions", async |db| {
            let raised = users::Entity::update_many()
                .col_expr(users::Column::SessionEpoch, Expr::col(users::Column::SessionEpoch).add(1))
                .filter(users::Column::Id.eq(user))
                .exec(db)
                .await?;
            Ok(raised.rows_affected > 0)
        })
        .await
    }

    /// Removes up to `limit` rows of sessions whose absolute end has passed. Returns how many.
    ///
    /// # Errors
    /// Any database error.
    pub async fn delete_ended_sessions(&self, limit: u64) -> Result<u64, RecordsError> {
        self.write_statement("delete_ended_sessions", async |db| {
            let ended = sessions::Column::EndsAt.lte(self.now_ms());
            let batch = Query::select()
                .column(sessions::Column::Id)
                .from(sessions::Entity)
                .and_where(ended.clone())
                .limit(limit)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .to_owned();
            let removed = sessions::Entity::delete_many()
                .filter(sessions::Column::Id.in_subquery(batch))
                .filter(ended)
                .exec(db)
                .await?;
            Ok(removed.rows_affected)
        })
        .await
    }
}
