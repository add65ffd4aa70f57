//! The types and backends that api and worker share: the upload and the four backends it can be in.
//!
//! ```text
//! client ─► api ─► staging   bytes as received, not validated
//!                  records   source of truth: the upload, its job, its history
//!                  queue     a message for the job
//!           worker ─► blobs  bytes rendered or checked, served
//! ```
//!
//! Each backend is one module and hides its engine: a folder or S3, memory or RabbitMQ, SQLite or PostgreSQL. An
//! upload is durable in the next backend before it leaves the previous one, so that a crash leaves at worst a
//! duplicate that the sweeper can find.

/// The settings of this crate, each with its description, as a TOML file.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

mod backend;
mod backends;
mod blobs;
mod clock;
mod digest;
mod error_chain;
mod fault_injection;
mod file;
mod free_space;
mod invalid_setting;
mod job;
mod media;
mod object_storage;
mod outage_log;
mod progress;
mod queue;
mod records;
mod render_cost;
mod rendition_name;
mod secret;
mod staging;
mod tls;
mod trace_context;
mod upload;
mod url_params;
mod variant_name;

pub use backend::Backend;
pub use backends::{BackendError, Backends, BackendsSettings};
pub use blobs::Blobs;
pub use clock::Clock;
pub use digest::{Sha256Hasher, hex, sha256};
pub use error_chain::chain;
pub use fault_injection::{FailPointSwitch, FailPoints, FaultSide, InjectedFault};
pub use file::{
    AccessGrant, Applink, Audience, File, FileId, FileRole, FileVersion, IdempotencyKey, IdempotencyKeyLock,
    IdempotencyLockResult, InvalidFileId, PublicLink, Rendition, TargetConflict, UploadTarget,
};
pub use free_space::LowSpace;
pub use invalid_setting::InvalidSetting;
pub use job::{Job, JobMessage, QueueName, Routing};
pub use media::{Media, SNIFF_BYTES};
pub use object_storage::{BlobContent, NewBlob, StoreError, StoreSettings};
pub use outage_log::OutageLog;
pub use progress::{ProgressTracker, report_progress};
pub use queue::{Deliveries, Delivery, OutcomeWaiter, Queue, QueueError, QueueSettings, QueueStats};
pub use records::{
    Admission, Admitted, Attempt, BlobDeletion, ClaimRefusal, Claimant, CropRefusal, DueMessage, FileAdmission, JobRow,
    LeaseResult, PictureInfo, Pooler, ProcessedUpload, PublishAttempt, Records, RecordsError, RecordsSettings, Role,
    SessionRow, SettleResult, SigningKey, UnclaimedUsage, UploadStats, Usage, User, VariantStatus,
};
pub use render_cost::{PictureHeader, estimate_render_time};
pub use rendition_name::{InvalidRenditionName, RenditionName, RenditionNameRules};
pub use secret::Secret;
pub use staging::{Staged, StagedWriter, Staging};
pub use tls::TlsSettings;
pub use trace_context::{TRACEPARENT, continue_trace};
pub use upload::{
    CROP_SPACE, Claim, Crop, Event, InvalidUploadId, JobId, Outcome, Reason, Resource, Service, UnknownValue, Upload,
    UploadId, UploadKind, UploadState, Variant,
};
pub use variant_name::{InvalidVariantName, VariantName};
