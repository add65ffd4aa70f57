//! The four backends that an upload passes, opened together by every role.
//!
//! ```text
//! client ─► api ─► staging   bytes as received, not validated
//!                  records   source of truth: the upload, its job, its history
//!                  queue     a message for the job
//!           worker ─► blobs  bytes rendered or checked, served
//! ```
//!
//! Each backend is one crate and hides its engine: a folder or S3, memory or RabbitMQ, SQLite or PostgreSQL. An
//! upload is durable in the next backend before it leaves the previous one, so that a crash leaves at worst a
//! duplicate that the sweeper can find.

mod backends;
mod discarded;
mod error;
mod settings;

pub use backends::Backends;
pub use error::BackendError;
pub use settings::BackendsSettings;

/// The settings of the backends, each with its description, as a TOML file.
pub const DEFAULTS: &str = include_str!("../defaults.toml");
