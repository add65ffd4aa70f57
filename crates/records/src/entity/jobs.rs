//! Jobs not yet done: the outbox.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// None if the job is not about an upload.
    pub upload_id: Option<i64>,
    pub kind: String,
    pub payload: String,
    pub state: String,
    /// Whether it settles its upload; otherwise it makes a variant.
    pub settles_upload: bool,
    pub attempts: i32,
    pub traceparent: Option<String>,
    pub last_error: Option<String>,
    pub created_at: i64,
    pub run_at: i64,
    pub published_at: Option<i64>,
    pub leased_until: Option<i64>,
    /// The blob prefixes of its attempts so far, each followed by a blank.
    pub blob_prefixes: String,
    /// The number of publishes; a confirmation names the one it belongs to.
    pub publishes: i32,
    /// When the sweeper publishes the job again.
    pub republish_at: i64,
    /// Milliseconds that a confirmed message may wait in the queue before it is published again.
    pub republish_after_ms: i64,
    /// How many of the attempts do not count against the limit.
    pub uncounted_attempts: i32,
    /// The number of the last attempt that does not count.
    pub last_uncounted_attempt: i32,
    /// How often in a row a backend postponed the job.
    pub postponements: i32,
    /// The backend whose failure postponed the job last.
    pub waiting_for: Option<String>,
    /// When a job that no upload's deadline ends is given up.
    pub expires_at: Option<i64>,
    /// The name of the queue that it is published into.
    pub queue: String,
    /// The principal whose counters include it while it is queued; empty if it is not counted.
    pub principal: String,
}

impl ActiveModelBehavior for ActiveModel {}
