//! Staging and blobs, in a folder or in a bucket. This is the only crate that uses object_store.
//!
//! `staging` holds bytes as received, and `blobs` holds bytes that are served. Each of them is a `store`, which counts
//! the operations, limits their time and passes them to an `engine`. `engines` is the table of all engines, each of
//! which is a module. Engines for buckets at a server share the module `bucket`.

mod azure;
mod blobs;
mod bucket;
mod buffered_writer;
mod engine;
mod engine_address;
mod engines;
mod error;
mod error_mapping;
mod folder;
mod idle_timeout;
mod listing;
mod multipart_upload;
mod new_blob;
mod object_writer;
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
