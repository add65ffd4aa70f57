//! Users, and the keys that sign their sessions. Password hashes are opaque here; the api creates and verifies them.

use std::time::Duration;

use domain::UnknownValue;
use jiff::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ActiveModelTrait, ColumnTrait, Condition, EntityTrait, NotSet, QueryFilter, QueryOrder, Set};

use crate::convert::millis;
use crate::entity::{signing_keys, users};
use crate::error::RecordsError;
use crate::records::Records;

/// A user's role in the realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// May upload, and act for granted resources.
    Member,
    /// Site administrator: unrestricted.
    Admin,
}

impl Role {
    /// The name in the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        match text {
            "member" => Ok(Self::Member),
            "admin" => Ok(Self::Admin),
            _ => Err(UnknownValue(text.to_owned())),
        }
    }
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The unique part of `<unique>.<fed>`.
    pub id: String,
    /// The login address, in lower case.
    pub email: String,
    /// The display name.
    pub name: String,
    /// An argon2id hash in PHC format.
    pub password_hash: String,
    /// The role.
    pub role: Role,
    /// Whether the account is disabled.
    pub disabled: bool,
}

/// A key that signs sessions, or signed them before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// The id of the key. Everything that the key signed contains this id.
    pub id: String,
    /// The secret of the key: 64 hex digits.
    pub secret: String,
}

/// The epoch after a change of a user's row (`excluded` is the new row): one higher, which ends all sessions, if the
/// password changes or the account becomes disabled.
const NEXT_EPOCH: &str = "users.session_epoch + CASE WHEN users.password_hash <> excluded.password_hash \
                          OR (users.disabled_at IS NULL AND excluded.disabled_at IS NOT NULL) THEN 1 ELSE 0 END";

impl Records {
    /// The user with this login address, compared case-insensitively.
    ///
    /// # Errors
    /// Any database error.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>, RecordsError> {
        let row = users::Entity::find().filter(users::Column::Email.eq(email.to_lowercase())).one(&self.db).await?;
        row.map(user).transpose()
    }

    /// The user with this id.
    ///
    /// # Errors
    /// Any database error.
    pub async fn user(&self, id: &str) -> Result<Option<User>, RecordsError> {
        users::Entity::find_by_id(id).one(&self.db).await?.map(user).transpose()
    }

    /// Whether there are no users yet, as at a first start.
    ///
    /// # Errors
    /// Any database error.
    pub async fn has_no_users(&self) -> Result<bool, RecordsError> {
        Ok(users::Entity::find().one(&self.db).await?.is_none())
    }

    /// Inserts a user, or updates the one with this id. If this changes the password or disables the account, the
    /// same statement also ends all sessions of the user.
    ///
    /// # Errors
    /// Any database error, also if another user has the address.
    pub async fn upsert_user(&self, user: &User) -> Result<(), RecordsError> {
        self.write_statement("upsert_user", async |db| {
            let row = user_row(user, self.now_ms());
            let changed = [
                users::Column::Email,
                users::Column::Name,
                users::Column::PasswordHash,
                users::Column::Role,
                users::Column::DisabledAt,
            ];
            let change = OnConflict::column(users::Column::Id)
                .update_columns(changed)
                .value(users::Column::SessionEpoch, Expr::cust(NEXT_EPOCH))
                .to_owned();
            users::Entity::insert(row).on_conflict(change).exec_without_returning(db).await?;
            Ok(())
        })
        .await
    }

    /// Adds a user if no other one has the id or the address. Returns whether it was added.
    ///
    /// # Errors
    /// Any database error.
    pub async fn insert_user_if_absent(&self, user: &User) -> Result<bool, RecordsError> {
        self.write_statement("insert_user_if_absent", async |db| {
            let inserted = users::Entity::insert(user_row(user, self.now_ms()))
                .on_conflict(sea_orm::sea_query::OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(db)
                .await?;
            Ok(inserted > 0)
        })
        .await
    }

    /// All keys, newest first: the first signs, all of them verify.
    ///
    /// # Errors
    /// Any database error.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, RecordsError> {
        let rows = signing_keys::Entity::find()
            .order_by_desc(signing_keys::Column::CreatedAt)
            .order_by_desc(signing_keys::Column::Id)
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().map(|row| SigningKey { id: row.id, secret: row.secret }).collect())
    }

    /// Adds a key, which is the signing key from now on.
    ///
    /// # Errors
    /// Any database error.
    pub async fn add_signing_key(&self, key: &SigningKey) -> Result<(), RecordsError> {
        self.write_statement("add_signing_key", async |db| {
            let row = signing_keys::ActiveModel {
                id: Set(key.id.clone()),
                secret: Set(key.secret.clone()),
                created_at: Set(self.now_ms()),
                needed_until: Set(0),
            };
            row.insert(db).await?;
            Ok(())
        })
        .await
    }

    /// The age of the signing key; `None` if there is none.
    ///
    /// # Errors
    /// Any database error.
    pub async fn newest_signing_key_age(&self) -> Result<Option<Duration>, RecordsError> {
        let newest = signing_keys::Entity::find().order_by_desc(signing_keys::Column::CreatedAt).one(&self.db).await?;
        let age = |row: signing_keys::Model| u64::try_from(self.now_ms() - row.created_at).unwrap_or_default();
        Ok(newest.map(age).map(Duration::from_millis))
    }

    /// Keeps a key until `until` at least, because something it signed is valid until then. Returns whether the key
    /// exists.
    ///
    /// # Errors
    /// Any database error.
    pub async fn extend_signing_key(&self, id: &str, until: Timestamp) -> Result<bool, RecordsError> {
        self.write_statement("extend_signing_key", async |db| {
            let until = until.as_millisecond();
            let needed = Expr::col(signing_keys::Column::NeededUntil);
            let later = Expr::case(needed.clone().lt(until), until).finally(needed);
            let kept = signing_keys::Entity::update_many()
                .col_expr(signing_keys::Column::NeededUntil, later.into())
                .filter(signing_keys::Column::Id.eq(id))
                .exec(db)
                .await?;
            Ok(kept.rows_affected > 0)
        })
        .await
    }

    /// Deletes keys that no valid session or token needs. The successor of such a key has existed for `max_session`,
    /// and the time until which a token needs the key has passed. Returns how many.
    ///
    /// # Errors
    /// Any database error.
    pub async fn delete_old_signing_keys(&self, max_session: Duration) -> Result<u64, RecordsError> {
        self.write_statement("delete_old_signing_keys", async |db| {
            let now = self.now_ms();
            let successor = Query::select()
                .expr(signing_keys::Column::CreatedAt.max())
                .from(signing_keys::Entity)
                .and_where(signing_keys::Column::CreatedAt.lte(now - millis(max_session)))
                .to_owned();
            let replaced =
                Expr::col(signing_keys::Column::CreatedAt).lt(Expr::SubQuery(None, Box::new(successor.into())));
            let old = Condition::all().add(replaced).add(signing_keys::Column::NeededUntil.lte(now));
            let deleted = signing_keys::Entity::delete_many().filter(old).exec(db).await?;
            Ok(deleted.rows_affected)
        })
        .await
    }

    /// All users, by id.
    ///
    /// # Errors
    /// Any database error.
    pub async fn users(&self) -> Result<Vec<User>, RecordsError> {
        let rows = users::Entity::find().order_by_asc(users::Column::Id).all(&self.db).await?;
        rows.into_iter().map(user).collect()
    }
}

fn user_row(user: &User, now: i64) -> users::ActiveModel {
    users::ActiveModel {
        id: Set(user.id.clone()),
        email: Set(user.email.to_lowercase()),
        name: Set(user.name.clone()),
        password_hash: Set(user.password_hash.clone()),
        role: Set(user.role.as_str().to_owned()),
        disabled_at: Set(user.disabled.then_some(now)),
        created_at: Set(now),
        session_epoch: NotSet,
    }
}

fn user(row: users::Model) -> Result<User, RecordsError> {
    Ok(User {
        id: row.id,
        email: row.email,
        name: row.name,
        password_hash: row.password_hash,
        role: row.role.parse()?,
        disabled: row.disabled_at.is_some(),
    })
}
