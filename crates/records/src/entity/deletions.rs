//! The deletion queue.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub upload_id: i64,
    pub prefix: String,
    pub why: String,
    pub due: i64,
    pub taken_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
