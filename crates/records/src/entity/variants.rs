//! Variants, made or requested.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "variants")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub upload_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub generation: i32,
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub blob_key: Option<String>,
    pub media: Option<String>,
    pub width: Option<i32>,
    pub height: Option<i32>,
    pub bytes: Option<i64>,
    pub sha256: Option<String>,
    pub job_id: Option<Uuid>,
    pub reason_code: Option<String>,
    pub reason_message: Option<String>,
    pub created_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
