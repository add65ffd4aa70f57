//! Names of resources. A resource needs no row to have an avatar.

use domain::Resource;
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, Set};

use crate::entity::resources;
use crate::error::RecordsError;
use crate::records::Records;

impl Records {
    /// Sets or replaces a resource's name.
    ///
    /// # Errors
    /// Any database error.
    pub async fn name_resource(&self, resource: &Resource, name: &str) -> Result<(), RecordsError> {
        self.write_statement("name_resource", async |db| {
            let row = resources::ActiveModel {
                service: Set(resource.service.as_str().to_owned()),
                resource_id: Set(resource.id.clone()),
                name: Set(name.to_owned()),
                created_at: Set(self.now_ms()),
            };
            resources::Entity::insert(row).on_conflict(replace_name()).exec_without_returning(db).await?;
            Ok(())
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

/// Replaces the name if there is one.
pub(crate) fn replace_name() -> OnConflict {
    OnConflict::columns([resources::Column::Service, resources::Column::ResourceId])
        .update_column(resources::Column::Name)
        .to_owned()
}
