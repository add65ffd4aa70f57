//! Files.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "files")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub owner: String,
    pub name: String,
    pub latest_version: i32,
    pub created_at: i64,
    pub changed_at: i64,
    pub deleted_at: Option<i64>,
    pub deleted_by: Option<String>,
    pub purge_at: Option<i64>,
    pub purge_leased_until: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
