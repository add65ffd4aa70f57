//! Sessions and issued bearer tokens.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: String,
    pub epoch: i64,
    pub created_at: i64,
    pub ends_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
