//! Avatars: which picture a resource shows. The newest entry that is ready is shown. So a former avatar stays while a new
//! one is processed, and for good if the new one turns out to be broken.
//!
//! An avatar that a newer one replaces stays in the history and is served by its version, because pages that embed its
//! address may be cached for a year. A removal deletes the avatar and the whole history with their bytes.
//!
//! The writes of one resource's avatar run one after the other, because each may expect a version. A claim whose
//! picture is being processed counts as the latest version from its commit. So the second of two writes that expect
//! the shown version is refused, although the first is not shown yet.

use domain::{ExpectedVersion, Resource, Service, Upload, UploadState, VersionChanged};
use sea_orm::sea_query::Query;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, JoinType, QueryFilter,
    QueryOrder, QuerySelect, Select, Set, Statement,
};

use crate::convert;
use crate::discard::DiscardedUploads;
use crate::entity::{avatars, resource_grants, uploads};
use crate::error::RecordsError;
use crate::records::Records;
use crate::write::TxEnd;
use crate::write_tx::WriteTx;

/// What clients are told about a picture whose avatar was removed.
const REMOVED: &str = "the avatar was removed; upload the picture again";

impl Records {
    /// The avatar that a resource shows now and its version; `None` for the default avatar.
    ///
    /// # Errors
    /// Any database error.
    pub async fn avatar(&self, resource: &Resource) -> Result<Option<(i64, Upload)>, RecordsError> {
        let shown = newest_first_in(resource, &[UploadState::Ready]).select_also(uploads::Entity).one(&self.db).await?;
        let Some((avatar, Some(row))) = shown else { return Ok(None) };
        Ok(Some((avatar.version, convert::upload(row)?)))
    }

    /// The upload of one version of a resource's avatar, whatever its state. None if the version is the default avatar or
    /// does not exist.
    ///
    /// # Errors
    /// Any database error.
    pub async fn avatar_version(&self, resource: &Resource, version: i64) -> Result<Option<Upload>, RecordsError> {
        let avatar = avatars::Entity::find_by_id(version)
            .filter(avatars::Column::Service.eq(resource.service.as_str()))
            .filter(avatars::Column::ResourceId.eq(resource.id.as_str()))
            .one(&self.db)
            .await?;
        let Some(upload) = avatar.and_then(|avatar| avatar.upload_id) else { return Ok(None) };
        let row = uploads::Entity::find_by_id(upload).one(&self.db).await?;
        row.map(convert::upload).transpose()
    }

    /// Removes the avatar with its history, so that the default one is shown. All its pictures are deleted, also one that
    /// is still being processed and those that a newer one had replaced. Nothing is written if the newest entry is the
    /// default already, so that repeated removals do not lengthen the history.
    ///
    /// `expected` is the version that may be removed; see [`Records::avatar`]. If nothing has to be written, every
    /// `expected` succeeds, because RFC 9110, 13.1.1, permits that if the change "appears to have already been applied".
    ///
    /// # Errors
    /// Outer: any database error. Inner: the resource does not have the expected avatar any more.
    pub async fn remove_avatar(
        &self,
        resource: &Resource,
        by: &str,
        expected: ExpectedVersion<Option<i64>>,
    ) -> Result<Result<DiscardedUploads, VersionChanged>, RecordsError> {
        self.write("remove_avatar", async |tx| {
            tx.lock_avatar(resource).await?;
            // A newer picture that is still being processed would be shown later, so the newest row counts, not the
            // one that is shown.
            let newest = newest_first(resource).one(&tx.tx).await?;
            if newest.is_none_or(|newest| newest.upload_id.is_none()) {
                return Ok(TxEnd::Rollback(Ok(DiscardedUploads::default())));
            }
            if !expected.permits(&tx.latest_avatar(resource).await?) {
                return Ok(TxEnd::Rollback(Err(VersionChanged)));
            }
            let now = self.now_ms();
            let removed = avatars::ActiveModel {
                service: Set(resource.service.as_str().to_owned()),
                resource_id: Set(resource.id.clone()),
                upload_id: Set(None),
                set_by: Set(by.to_owned()),
                created_at: Set(now),
                ..Default::default()
            };
            removed.insert(&tx.tx).await?;
            let pictures = tx.lock_pictures(resource).await?;
            let detail = format!("by {by}, as the avatar of {resource}");
            Ok(TxEnd::Commit(Ok(tx.delete_uploads(&pictures, REMOVED, &detail, now).await?)))
        })
        .await
    }

    /// Grants a user the right to act for a resource. A repeated grant has no effect.
    ///
    /// # Errors
    /// Any database error.
    pub async fn grant_resource(&self, resource: &Resource, user: &str) -> Result<(), RecordsError> {
        self.write_statement("grant_resource", async |db| {
            let grant = resource_grants::ActiveModel {
                service: Set(resource.service.as_str().to_owned()),
                resource_id: Set(resource.id.clone()),
                user_id: Set(user.to_owned()),
                created_at: Set(self.now_ms()),
            };
            resource_grants::Entity::insert(grant)
                .on_conflict(sea_orm::sea_query::OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(db)
                .await?;
            Ok(())
        })
        .await
    }

    /// Whether a user may act for a resource: all users for themselves, otherwise by a grant.
    ///
    /// # Errors
    /// Any database error.
    pub async fn may_act_for(&self, user: &str, resource: &Resource) -> Result<bool, RecordsError> {
        if resource.service == Service::Users && resource.id == user {
            return Ok(true);
        }
        let key = (resource.service.as_str().to_owned(), resource.id.clone(), user.to_owned());
        Ok(resource_grants::Entity::find_by_id(key).one(&self.db).await?.is_some())
    }
}

impl WriteTx {
    /// Makes other writes of this resource's avatar wait until this transaction ends. A resource may have no row that
    /// could be locked, so PostgreSQL locks a number that is derived from its id. SQLite has one writer anyway.
    pub(crate) async fn lock_avatar(&self, resource: &Resource) -> Result<(), RecordsError> {
        if self.tx.get_database_backend() == DbBackend::Postgres {
            let lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
            let resource = format!("avatar of {resource}");
            self.tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, lock, [resource.into()])).await?;
        }
        Ok(())
    }

    /// Locks all pictures of a resource's avatar that are not deleted, and returns their rows.
    async fn lock_pictures(&self, resource: &Resource) -> Result<Vec<uploads::Model>, RecordsError> {
        let entries = Query::select()
            .column(avatars::Column::UploadId)
            .from(avatars::Entity)
            .and_where(avatars::Column::Service.eq(resource.service.as_str()))
            .and_where(avatars::Column::ResourceId.eq(resource.id.as_str()))
            .and_where(avatars::Column::UploadId.is_not_null())
            .to_owned();
        let pictures = uploads::Entity::find()
            .filter(uploads::Column::Id.in_subquery(entries))
            .filter(uploads::Column::State.ne(UploadState::Expired.as_str()))
            // Always in the same order, so that no two transactions wait for each other.
            .order_by_asc(uploads::Column::Id)
            .lock_exclusive();
        Ok(pictures.all(&self.tx).await?)
    }

    /// The version of the avatar that is shown, or will be if the picture being processed turns out to be fine; `None`
    /// for the default avatar.
    pub(crate) async fn latest_avatar(&self, resource: &Resource) -> Result<Option<i64>, RecordsError> {
        let latest = newest_first_in(resource, &[UploadState::Ready, UploadState::Accepted]).one(&self.tx).await?;
        Ok(latest.filter(|latest| latest.upload_id.is_some()).map(|latest| latest.version))
    }
}

/// The removals of a resource's avatar and the entries whose upload is in one of these states, newest first. Any client
/// may request an avatar and a history has no limit, so the database selects the rows.
fn newest_first_in(resource: &Resource, states: &[UploadState]) -> Select<avatars::Entity> {
    let its_upload =
        avatars::Entity::belongs_to(uploads::Entity).from(avatars::Column::UploadId).to(uploads::Column::Id);
    newest_first(resource).join(JoinType::LeftJoin, its_upload.into()).filter(
        Condition::any()
            .add(avatars::Column::UploadId.is_null())
            .add(uploads::Column::State.is_in(states.iter().map(|state| state.as_str()))),
    )
}

/// All avatar entries of a resource, newest first.
fn newest_first(resource: &Resource) -> Select<avatars::Entity> {
    avatars::Entity::find()
        .filter(avatars::Column::Service.eq(resource.service.as_str()))
        .filter(avatars::Column::ResourceId.eq(resource.id.as_str()))
        .order_by_desc(avatars::Column::Version)
}
