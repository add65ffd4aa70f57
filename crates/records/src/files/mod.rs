//! Files in the records:
//!
//! - `admit` inserts a version or a rendition and reserves its name; `upload_target` confirms or releases what was
//!   reserved;
//! - `permissions` resolves roles, `grants` and `links` give them;
//! - `queries` finds files, and `delete_rendition` deletes a rendition.
//!
//! The row of a version or a rendition is inserted with its upload, in one transaction, and is visible once the
//! worker has settled the upload. If the upload fails, the same transaction releases the row, and with it its name.

mod admit;
mod delete_rendition;
mod grants;
mod links;
mod permissions;
mod queries;
mod upload_target;

pub use admit::FileAdmission;
