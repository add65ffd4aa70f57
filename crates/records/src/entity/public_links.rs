//! Public links.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "public_links")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub file_id: String,
    pub name: String,
    pub role: String,
    pub audience: String,
    /// The hash of the access code.
    pub password_hash: Option<String>,
    pub expires_at: Option<i64>,
    /// The time of expiry as the creator of the link wrote it.
    pub expiration_time: Option<String>,
    pub created_by: String,
    pub created_at: i64,
    pub revoked_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
