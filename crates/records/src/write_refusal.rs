//! Why a database refused a write.

/// Why a database refused a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteRefusal {
    /// Its disk is full.
    Full,
    /// Its disk fails, or it is read-only.
    NotWritable,
}
