//! Registers resources that another system manages: their names and the users who may act for them.

use domain::Resource;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, Set};

use crate::entity::resource_grants;
use crate::error::RecordsError;
use crate::records::Records;
use crate::write::TxEnd;

impl Records {
    /// Registers a resource. Sets its name, if a name is given. If users are given, exactly these users may act for it
    /// from now on. A name or a list of users that is `None` changes nothing.
    ///
    /// # Errors
    /// Any database error; then nothing was changed.
    pub async fn register_resource(
        &self,
        resource: &Resource,
        name: Option<&str>,
        users: Option<&[String]>,
    ) -> Result<(), RecordsError> {
        self.write("register_resource", async |tx| {
            let now = self.now_ms();
            if let Some(name) = name {
                tx.set_resource_name(resource, name, now).await?;
            }
            if let Some(users) = users {
                resource_grants::Entity::delete_many()
                    .filter(resource_grants::Column::Service.eq(resource.service.as_str()))
                    .filter(resource_grants::Column::ResourceId.eq(resource.id.as_str()))
                    .exec(&tx.tx)
                    .await?;
                let mut users = users.to_vec();
                users.sort_unstable();
                users.dedup();
                let rows = users.into_iter().map(|user| resource_grants::ActiveModel {
                    service: Set(resource.service.as_str().to_owned()),
                    resource_id: Set(resource.id.clone()),
                    user_id: Set(user),
                    created_at: Set(now),
                });
                let rows: Vec<_> = rows.collect();
                if !rows.is_empty() {
                    resource_grants::Entity::insert_many(rows).exec_without_returning(&tx.tx).await?;
                }
            }
            Ok(TxEnd::Commit(()))
        })
        .await
    }

    /// Revokes a user's grant on a resource. A missing grant is no error.
    ///
    /// # Errors
    /// Any database error.
    pub async fn revoke_resource_grant(&self, resource: &Resource, user: &str) -> Result<(), RecordsError> {
        self.write_statement("revoke_resource_grant", async |db| {
            let key = (resource.service.as_str().to_owned(), resource.id.clone(), user.to_owned());
            resource_grants::Entity::delete_by_id(key).exec(db).await?;
            Ok(())
        })
        .await
    }

    /// The users with a grant to act for a resource, by id.
    ///
    /// # Errors
    /// Any database error.
    pub async fn resource_grants(&self, resource: &Resource) -> Result<Vec<String>, RecordsError> {
        let rows = resource_grants::Entity::find()
            .filter(resource_grants::Column::Service.eq(resource.service.as_str()))
            .filter(resource_grants::Column::ResourceId.eq(resource.id.as_str()))
            .order_by_asc(resource_grants::Column::UserId)
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().map(|row| row.user_id).collect())
    }
}
