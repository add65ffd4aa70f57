//! The operations of a store. Each passes the seam for fault injection and metrics.

/// The names of the operations that change something.
pub const WRITING_OPERATIONS: &[&str] =
    &["put", "begin_multipart", "write_part", "complete", "copy", "delete", "delete_prefix"];

/// The names of the operations that only read.
pub(crate) const READING_OPERATIONS: &[&str] = &["get", "stream", "ping"];
