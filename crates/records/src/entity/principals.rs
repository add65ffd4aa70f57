//! Counters of each principal's jobs in flight and stored bytes.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "principals")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Uploads that a queued job is to settle.
    pub uploads: i64,
    /// Variants that a queued job is to make.
    pub variants: i64,
    /// Bytes of uploads that wait or are ready, and of their variants.
    pub bytes: i64,
}

impl ActiveModelBehavior for ActiveModel {}
