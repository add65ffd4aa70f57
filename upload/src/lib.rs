//! What api and worker agree on: the Upload and the four places it can be.
//!
//! ```text
//! client ─► api ─► staging   bytes as they came, believed by nobody
//!                  records   the truth: the upload, its job, its history
//!                  queue     a promise of work
//!           worker ─► blobs  bytes we made or checked, served
//! ```
//!
//! Each place is one module and hides its engine: a folder or S3, memory or RabbitMQ, SQLite or PostgreSQL. Whoever
//! moves an upload makes the next place true before letting go of the previous one, so that a crash leaves at worst a
//! duplicate that the sweeper can see.

/// The settings of this crate, each with what it does, as a TOML file.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

mod address;
mod backend;
mod blobs;
mod clock;
mod cost;
mod digest;
mod document;
mod error_chain;
mod faults;
mod free_space;
mod job;
mod media;
mod outage_log;
mod places;
mod progress;
mod queue;
mod records;
mod rendition_name;
mod secret;
mod setting;
mod staging;
mod store;
mod tls;
mod trace;
mod upload;
mod variant_name;

pub use backend::Backend;
pub use blobs::Blobs;
pub use clock::Clock;
pub use cost::{Look, estimate};
pub use digest::{Hasher, hex, sha256};
pub use document::{
    Applink, Assigned, File, FileId, FileRole, FileVersion, Held, KeyHold, NoFileId, OnceKey, Place, PlaceTaken,
    PublicLink, Rendition, Right,
};
pub use error_chain::chain;
pub use faults::{FaultSwitch, Faults, Side, Struck};
pub use free_space::LowSpace;
pub use job::{Job, Lane, Routing, Ticket};
pub use media::{Media, SNIFF_BYTES};
pub use outage_log::OutageLog;
pub use places::{PlaceError, Places, PlacesSettings};
pub use progress::{Progress, made_progress};
pub use queue::{Deliveries, Delivery, Line, Queue, QueueError, QueueSettings, Waiting};
pub use records::{
    Admission, Admitted, Attempt, Census, ClaimRefused, Claimant, Condemned, CropRefused, FileAdmission, JobRow, Made,
    Pooler, Publish, Records, RecordsError, RecordsSettings, Role, SessionRow, Settled, Shown, SigningKey, Start,
    Unclaimed, Unpublished, Usage, User, Wanted,
};
pub use rendition_name::{Grammar, NoRenditionName, RenditionName};
pub use secret::Secret;
pub use setting::WrongSetting;
pub use staging::{Intake, Staged, Staging};
pub use store::{Content, Object, StoreError, StoreSettings};
pub use tls::TlsSettings;
pub use trace::{TRACEPARENT, go_on};
pub use upload::{
    CROP_SPACE, Claim, Crop, Event, JobId, Kind, NoUploadId, Reason, Resource, Service, State, UnknownWord, Upload,
    UploadId, Variant, Verdict,
};
pub use variant_name::{NoVariantName, VariantName};
