//! What happened to an upload, and when.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub upload_id: i64,
    pub kind: String,
    pub detail: String,
    pub occurred_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
