//! The worker: takes jobs from the queue, and writes blobs and records. Every uploaded file is checked, cleaned and
//! stored here.
//!
//! ```text
//! queue ─► dispatcher       prefetch deliveries, begin them in fair order
//!          circuit_breaker  while a backend fails, take no more jobs
//!          runner           count the attempt, renew the lease, acknowledge
//!          job_handlers     call the handler of the job's kind:
//!          process_picture  fetch ─► render ─► promote ─► settle ─► unstage
//!          process_file     fetch ─► thumbnail ─► promote ─► settle ─► unstage, for files and renditions
//!          make_variant     render ─► promote ─► settle, for a size requested for the first time
//!          sweeper          expire, fail overdue uploads, publish unpublished jobs, run scheduled deletions
//! ```
//!
//! The worker decides how an upload ends: it checks again what the api accepted, and records its decision in the
//! settling transaction. It serves no HTTP requests. Pictures are rendered by the crate [`picture`].

/// The default settings of this crate as a TOML file, with a comment on each setting.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

mod attempt_result;
mod circuit_breaker;
mod dispatcher;
mod fair_scheduler;
mod fetch;
mod job_class;
mod job_handlers;
mod lease;
mod liveness;
mod promote;
mod render;
mod render_plans;
pub mod render_pool;
mod runner;
mod settings;
mod sweeper;
mod unsettled_attempt;
mod worker;

pub use circuit_breaker::CircuitBreakers;
pub use job_class::JobClass;
pub use liveness::Liveness;
pub use settings::{JobSettings, PictureSettings, SweepSettings, WorkerSettings};
pub use sweeper::{SweepReport, Sweeper};
pub use worker::Worker;
