//! Staging and blobs, in a folder or in an S3 bucket. It is the only crate that uses object_store.
//!
//! `staging` holds bytes as received and `blobs` what is served; both are a `store`, which hides the engine.

mod blobs;
mod error;
mod error_mapping;
mod folder;
mod idle_timeout;
mod listing;
mod multipart_upload;
mod new_blob;
mod operations;
mod part_size;
mod s3;
mod settings;
mod staged_writer;
mod staging;
mod store;
mod stream;

pub use blobs::Blobs;
pub use error::StoreError;
pub use new_blob::{BlobContent, NewBlob};
pub use operations::WRITING_OPERATIONS;
pub use settings::StoreSettings;
pub use staged_writer::StagedWriter;
pub use staging::Staging;
