//! Files in the records:
//!
//! - `admit` inserts a version or a rendition and reserves its name; `upload_target` confirms or releases what was
//!   reserved;
//! - `permissions` resolves roles, `grants` and `links` give them;
//! - `queries` finds files, and `list` lists them for operators;
//! - `delete_rendition` deletes a rendition; `delete_file` deletes and restores a file, and `purge` ends what was not
//!   restored in time.
//!
//! The row of a version or a rendition is inserted with its upload, in one transaction, and is visible once the
//! worker has settled the upload. If the upload fails, the same transaction releases the row, and with it its name.

mod admit;
mod delete_file;
mod delete_rendition;
mod grants;
mod links;
mod list;
mod permissions;
mod purge;
mod queries;
mod upload_target;

pub use admit::FileAdmission;
pub use delete_file::{DeleteFileRefusal, RestoreFileRefusal};
pub use list::{FileRow, FilesFilter};
pub use purge::PurgeStep;
