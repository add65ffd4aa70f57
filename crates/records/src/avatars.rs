//! Avatars: which picture a resource shows. The history is kept. The newest entry that is ready is shown. So a former
//! avatar stays while a new one is processed, and for good if the new one turns out to be broken.

use domain::{Resource, Service, Upload, UploadState};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, Select, Set,
};

use crate::convert;
use crate::entity::{avatars, resource_grants, uploads};
use crate::error::RecordsError;
use crate::records::Records;

impl Records {
    /// The avatar that a resource shows now and its version; `None` for the default avatar.
    ///
    /// # Errors
    /// Any database error.
    pub async fn avatar(&self, resource: &Resource) -> Result<Option<(i64, Upload)>, RecordsError> {
        let its_upload =
            avatars::Entity::belongs_to(uploads::Entity).from(avatars::Column::UploadId).to(uploads::Column::Id);
        // Any client may request this and a history has no limit, so the database selects the one row.
        let shown = newest_first(resource)
            .join(JoinType::LeftJoin, its_upload.into())
            .filter(
                Condition::any()
                    .add(avatars::Column::UploadId.is_null())
                    .add(uploads::Column::State.eq(UploadState::Ready.as_str())),
            )
            .select_also(uploads::Entity)
            .one(&self.db)
            .await?;
        let Some((avatar, Some(row))) = shown else { return Ok(None) };
        Ok(Some((avatar.version, convert::upload(row)?)))
    }

    /// One version of a resource's avatar, if it is a ready picture.
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
        let upload = row.map(convert::upload).transpose()?;
        Ok(upload.filter(|upload| upload.state == UploadState::Ready))
    }

    /// Removes the avatar, so that the default one is shown. Nothing is written if the newest entry
    /// is the default already, so that repeated removals do not lengthen the history.
    ///
    /// # Errors
    /// Any database error.
    pub async fn remove_avatar(&self, resource: &Resource, by: &str) -> Result<(), RecordsError> {
        self.write_statement("remove_avatar", async |db| {
            // A newer picture that is still being processed would be shown later, so the newest row counts, not the
            // one that is shown.
            let newest = newest_first(resource).one(db).await?;
            if newest.is_none_or(|newest| newest.upload_id.is_none()) {
                return Ok(());
            }
            let removed = avatars::ActiveModel {
                service: Set(resource.service.as_str().to_owned()),
                resource_id: Set(resource.id.clone()),
                upload_id: Set(None),
                set_by: Set(by.to_owned()),
                created_at: Set(self.now_ms()),
                ..Default::default()
            };
            removed.insert(db).await?;
            Ok(())
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

/// All avatar entries of a resource, newest first.
fn newest_first(resource: &Resource) -> Select<avatars::Entity> {
    avatars::Entity::find()
        .filter(avatars::Column::Service.eq(resource.service.as_str()))
        .filter(avatars::Column::ResourceId.eq(resource.id.as_str()))
        .order_by_desc(avatars::Column::Version)
}
