//! The deletion queue.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deletions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub upload_id: Option<i64>,
    pub blob_prefix: String,
    pub reason: String,
    pub due_at: i64,
    pub leased_until: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
