//! Why a database refused a write.

/// Why a database refused a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteRefusal {
    /// The disk of the database is full.
    Full,
    /// The disk of the database fails, or the database is read-only.
    NotWritable,
}
