//! Uploads.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "uploads")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub kind: String,
    pub owner: String,
    pub state: String,
    pub filename: String,
    pub media: String,
    pub bytes: i64,
    pub sha256: String,
    pub staged_key: String,
    pub original_key: Option<String>,
    pub default_media: Option<String>,
    pub width: Option<i32>,
    pub height: Option<i32>,
    /// Milliseconds that rendering takes, as estimated from the header.
    pub render_estimate_ms: i64,
    pub generation: i32,
    pub crop: Option<String>,
    pub reason_code: Option<String>,
    pub reason_message: Option<String>,
    pub claimed_service: Option<String>,
    pub claimed_resource_id: Option<String>,
    pub claimed_by: Option<String>,
    pub claimed_at: Option<i64>,
    pub created_at: i64,
    pub settled_at: Option<i64>,
    pub deadline: i64,
    pub expires_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
