//! Custom renditions and their reserved names.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "renditions")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub version_id: i64,
    pub name: String,
    pub case_folded_name: String,
    pub description: String,
    pub extension: String,
    pub upload_id: i64,
    pub created_by: String,
    pub access_grant: String,
    pub created_at: i64,
    pub ready_at: Option<i64>,
    pub released_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
