//! One row for each job that is not done, dead ones included. The table is also the outbox from which jobs are published.

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
    /// Whether its end makes its upload ready or rejected. False for a job about an upload that is ready already.
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
    /// How often the job was published. A confirmation contains this number too, so that a late
    /// confirmation of an earlier publish is ignored.
    pub publishes: i32,
    /// When the sweeper publishes the job again.
    pub republish_at: i64,
    /// Milliseconds that a confirmed message may wait in the queue before it is published again.
    pub republish_after_ms: i64,
    /// How many of the attempts do not count against the limit, because a backend failed.
    pub uncounted_attempts: i32,
    /// The ordinal of the last attempt that does not count.
    pub last_uncounted_attempt: i32,
    /// How often in a row the job was postponed because a backend failed.
    pub postponements: i32,
    /// The backend whose failure postponed the job last.
    pub waiting_for: Option<String>,
    /// When the job is given up; None if the deadline of its upload ends it.
    pub expires_at: Option<i64>,
    /// The name of the queue that it is published into.
    pub queue: String,
    /// The user whose usage counters include the job while it is queued; empty if it is not counted.
    pub principal: String,
}

impl ActiveModelBehavior for ActiveModel {}
