//! Names of resources. A resource needs no row to have an avatar.

use domain::{ExpectedVersion, Resource, VersionChanged};
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, Set};

use crate::entity::resources;
use crate::error::RecordsError;
use crate::records::Records;
use crate::write::TxEnd;
use crate::write_tx::WriteTx;

impl Records {
    /// Sets or replaces a resource's name. `expected` is the version of the avatar that the resource must have; see
    /// [`Records::avatar`]. Setting the name that the resource has already succeeds for any `expected`.
    ///
    /// # Errors
    /// Outer: any database error. Inner: the resource has another avatar.
    pub async fn name_resource(
        &self,
        resource: &Resource,
        name: &str,
        expected: ExpectedVersion<Option<i64>>,
    ) -> Result<Result<(), VersionChanged>, RecordsError> {
        self.write("name_resource", async |tx| {
            Ok(TxEnd::Commit(tx.name_resource_if(resource, name, expected, self.now_ms()).await?))
        })
        .await
    }

    /// The name of a resource.
    ///
    /// # Errors
    /// Any database error.
    pub async fn resource_name(&self, resource: &Resource) -> Result<Option<String>, RecordsError> {
        let key = (resource.service.as_str().to_owned(), resource.id.clone());
        Ok(resources::Entity::find_by_id(key).one(&self.db).await?.map(|row| row.name))
    }
}

impl WriteTx {
    /// Sets the name if the resource has the expected avatar. Has no effect if the resource has that name already.
    pub(crate) async fn name_resource_if(
        &self,
        resource: &Resource,
        name: &str,
        expected: ExpectedVersion<Option<i64>>,
        now: i64,
    ) -> Result<Result<(), VersionChanged>, RecordsError> {
        self.lock_avatar(resource).await?;
        let key = (resource.service.as_str().to_owned(), resource.id.clone());
        let known = resources::Entity::find_by_id(key).one(&self.tx).await?;
        if known.is_some_and(|known| known.name == name) {
            return Ok(Ok(()));
        }
        if !expected.permits(&self.latest_avatar(resource).await?) {
            return Ok(Err(VersionChanged));
        }
        self.set_resource_name(resource, name, now).await?;
        Ok(Ok(()))
    }

    /// Sets or replaces a resource's name.
    pub(crate) async fn set_resource_name(
        &self,
        resource: &Resource,
        name: &str,
        now: i64,
    ) -> Result<(), RecordsError> {
        let row = resources::ActiveModel {
            service: Set(resource.service.as_str().to_owned()),
            resource_id: Set(resource.id.clone()),
            name: Set(name.to_owned()),
            created_at: Set(now),
        };
        resources::Entity::insert(row).on_conflict(replace_name()).exec_without_returning(&self.tx).await?;
        Ok(())
    }
}

/// The conflict clause that replaces the name if the resource has one.
fn replace_name() -> OnConflict {
    OnConflict::columns([resources::Column::Service, resources::Column::ResourceId])
        .update_column(resources::Column::Name)
        .to_owned()
}
