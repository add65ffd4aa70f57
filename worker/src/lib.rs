//! Jobs in, blobs and records out. The back room: somebody here checks what was handed in, cleans it, hangs it up.
//!
//! ```text
//! queue ─► dispatch  take deliveries in hand, begin them in fair order
//!          breaker   while a backend fails, take no more
//!          consume   count the attempt, keep the lease, acknowledge
//!          process   pick up ─► render ─► promote ─► settle ─► unstage
//!          keep      pick up ─► thumbnail ─► promote ─► settle ─► unstage, for what is a file's
//!          variant   render ─► promote ─► settle, for a size nobody had asked for before
//!          sweep     expire, fail what is overdue, publish what was forgotten, collect what is condemned
//! ```
//!
//! The worker is the authority: it looks again at what the api let through, and decides in the settling transaction.
//! It never speaks HTTP. Image codecs live in [`picture`] and nowhere else in the program.

/// The settings of this crate, each with what it does, as a TOML file.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

mod attempt_result;
mod circuit_breaker;
mod dispatcher;
mod fair_scheduler;
mod fetch;
mod job_class;
mod lease;
mod liveness;
mod make_variant;
pub mod picture;
mod process_file;
mod process_picture;
mod promote;
mod render;
mod render_plans;
pub mod render_pool;
mod runner;
mod settings;
mod sweeper;
mod unsettled_attempt;

pub use circuit_breaker::CircuitBreakers;
pub use job_class::JobClass;
pub use liveness::Liveness;
pub use runner::Worker;
pub use settings::{JobSettings, PictureSettings, SweepSettings, WorkerSettings};
pub use sweeper::{SweepReport, Sweeper};
