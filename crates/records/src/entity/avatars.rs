//! All avatar entries of a resource, former ones included.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "avatars")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub version: i64,
    pub service: String,
    pub resource_id: String,
    pub upload_id: Option<i64>,
    pub set_by: String,
    pub created_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
