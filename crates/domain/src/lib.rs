//! Uploads, jobs, files and their rules: the types that every other crate uses. There is no I/O in here.
//!
//! - `upload`, `file` and `job` are the three things that the records hold. `staged` is an upload
//!   that is not in the records yet. `crop` and `rotation` are what is shown of a picture.
//! - `reason` and `event` say why an upload ended and what happened to it.
//! - `media`, `variant_name`, `rendition_name` and `blob_keys` define names and parse them.
//!   `backend` and `queue_name` list the backends and the queues.
//! - `render_cost` estimates how long a picture takes to render; `routing` chooses a queue by it.
//! - `clock`, `random`, `digest`, `secret`, `invalid_setting` and `error_chain` are tools that
//!   every crate needs. `open_enum` declares enums that newer versions extend.

mod backend;
pub mod blob_keys;
mod clock;
mod crop;
mod digest;
mod error_chain;
mod event;
mod expected_version;
mod file;
mod invalid_setting;
mod job;
mod media;
mod open_enum;
mod queue_name;
mod random;
mod reason;
mod render_cost;
mod rendition_name;
mod rotation;
mod routing;
mod secret;
mod staged;
mod unknown_value;
mod upload;
mod variant_name;

pub use backend::Backend;
pub use clock::Clock;
pub use crop::{CROP_SPACE, Crop, CropFit, CropPart, CropSpace, UNCROPPED_GENERATION};
pub use digest::{Sha256Hasher, hex, sha256};
pub use error_chain::chain;
pub use event::{Event, EventKind};
pub use expected_version::{ExpectedVersion, VersionChanged};
pub use file::{
    AccessGrant, Applink, Audience, File, FileId, FileRole, FileVersion, IdempotencyKey, IdempotencyKeyLock,
    IdempotencyLockResult, InvalidFileId, PublicLink, Rendition, TargetConflict, UploadTarget,
};
pub use invalid_setting::InvalidSetting;
pub use job::{Job, JobMessage, JobState};
pub use media::{Media, SNIFF_BYTES};
pub use queue_name::QueueName;
pub use random::{NoRandomness, ordered_id, random_bytes, random_id};
pub use reason::{Outcome, Reason, ReasonCode};
pub use render_cost::{HeaderScanner, PictureHeader, estimate_render_time};
pub use rendition_name::{InvalidRenditionName, RenditionName, RenditionNameRules, case_fold};
pub use rotation::Rotation;
pub use routing::Routing;
pub use secret::Secret;
pub use staged::Staged;
pub use unknown_value::UnknownValue;
pub use upload::{
    Claim, InvalidUploadId, JobId, Resource, Service, Upload, UploadId, UploadKind, UploadState, Variant,
};
pub use variant_name::{InvalidVariantName, VariantName};
