//! Files in the records: `admit` takes a version or a rendition in and takes its name, `settle` keeps or releases what was
//! taken, `rights` says who may do what, `look` finds, `remove` deletes a rendition, `share` and `links` hand rights on.
//!
//! A row of a version or a rendition comes with its upload, in one transaction, and can be seen once the worker has
//! settled that. Whoever comes to nothing releases its row, and with it its name, in the transaction that says so.

mod admit;
mod delete_rendition;
mod grants;
mod links;
mod permissions;
mod queries;
mod upload_target;

pub use admit::FileAdmission;
