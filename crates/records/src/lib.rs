//! The records: the database, and the source of truth.
//!
//! Each submodule is one group of operations:
//!
//! - `admit` inserts uploads, `attempt` leases their jobs to workers, and `settle` ends attempts;
//! - `variants` looks variants up and requests them, `crop` changes what they show, and `claim` assigns a picture;
//! - `expire` ends what was not claimed or not settled in time, `delete_upload` deletes a picture, `discard` has what both
//!   share, and `deletions` is the queue of blobs to delete;
//! - `upload_jobs` enqueues jobs about ready uploads, `outbox` publishes what the queue lost, and `jobs` shows jobs to
//!   operators;
//! - `upload_queries` reads single uploads, `upload_list` lists them, `stats` counts them, and `usage` counts what each
//!   principal has in flight and stored;
//! - `users`, `sessions` and `files` hold what their names say, and `idempotency` remembers answers.
//!
//! Each operation that writes is one transaction, or one statement, in one call of a method of
//! `write`. The filter of each compare-and-set names what must still be true. The same code runs on
//! SQLite and PostgreSQL. Any operation can fail with a database error.

mod admit;
mod attempt;
mod avatars;
mod claim;
mod commit;
mod connect;
mod connection_limits;
mod convert;
mod crop;
mod database;
mod delete_upload;
mod deletions;
mod discard;
mod entity;
mod error;
mod error_class;
mod expire;
mod files;
mod idempotency;
mod jobs;
mod outbox;
mod postgres;
mod records;
mod resource_registration;
mod resources;
mod sessions;
mod settings;
mod settle;
mod stats;
mod unclaimed_usage;
mod upload_ids;
mod upload_jobs;
mod upload_list;
mod upload_queries;
mod usage;
mod users;
mod variants;
mod writability;
mod write;
mod write_check;
mod write_refusal;
mod write_tx;
mod writing_operations;

pub use admit::{Admission, Admitted};
pub use attempt::{Attempt, LeaseResult};
pub use claim::{ClaimRefusal, Claimant};
pub use crop::CropRefusal;
pub use delete_upload::DeleteUploadRefusal;
pub use deletions::BlobDeletion;
pub use discard::DiscardedUploads;
pub use error::RecordsError;
pub use files::{DeleteFileRefusal, FileAdmission, FileRow, FilesFilter, PurgeStep, RestoreFileRefusal};
pub use jobs::JobRow;
pub use outbox::{DueMessage, PublishAttempt};
pub use records::Records;
pub use sessions::SessionRow;
pub use settings::{Pooler, RecordsSettings};
pub use settle::{PictureInfo, ProcessedUpload, SettleResult};
pub use stats::UploadStats;
pub use unclaimed_usage::UnclaimedUsage;
pub use upload_list::UploadFilter;
pub use usage::Usage;
pub use users::{Role, SigningKey, User};
pub use variants::VariantStatus;
pub use writing_operations::WRITING_OPERATIONS;
