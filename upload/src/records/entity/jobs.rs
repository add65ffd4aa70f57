//! Jobs not yet done: the outbox.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub upload_id: i64,
    pub kind: String,
    pub payload: String,
    pub state: String,
    pub attempts: i32,
    pub trace: Option<String>,
    pub last_error: Option<String>,
    pub created_at: i64,
    pub run_at: i64,
    pub published_at: Option<i64>,
    pub leased_until: Option<i64>,
    /// What its attempts so far may have written blobs under, each with a blank behind it.
    pub prefixes: String,
}

impl ActiveModelBehavior for ActiveModel {}
