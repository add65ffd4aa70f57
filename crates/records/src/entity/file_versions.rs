//! Versions of files.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "file_versions")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub file_id: String,
    pub number: i32,
    pub upload_id: Option<i64>,
    pub name: String,
    pub created_by: String,
    pub access_grant: Option<String>,
    pub created_at: i64,
    pub ready_at: Option<i64>,
    pub released_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
