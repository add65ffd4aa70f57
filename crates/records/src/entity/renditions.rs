//! Custom renditions, which clients upload. Sizes that workers render are in `variants`.

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
    /// None while the upload is processed: the row reserves the name.
    pub ready_at: Option<i64>,
    /// When the name became free again, because the upload ended or the rendition was deleted.
    pub released_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
