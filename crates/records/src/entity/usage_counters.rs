//! Counters of each principal's jobs in flight and stored bytes.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "usage_counters")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub principal: String,
    /// Uploads that a queued job is to settle.
    pub uploads_in_flight: i64,
    /// Variants that a queued job is to make.
    pub variants_in_flight: i64,
    /// Bytes of uploads that wait or are ready, and of their variants.
    pub stored_bytes: i64,
}

impl ActiveModelBehavior for ActiveModel {}
