//! Idempotency keys and their responses.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub caller: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    pub fingerprint: Option<String>,
    pub upload_id: Option<i64>,
    pub response: Option<String>,
    pub locked_at: i64,
    pub locked_until: i64,
    pub expires_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
