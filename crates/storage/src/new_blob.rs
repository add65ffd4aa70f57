//! A blob to be written: its key and the source of its bytes.

use bytes::Bytes;

/// A blob to be written.
#[derive(Clone, Debug)]
pub struct NewBlob {
    /// The key, which no other writer uses.
    pub key: String,
    /// The source of its bytes.
    pub content: BlobContent,
}

/// The source of a blob's bytes.
#[derive(Clone, Debug)]
pub enum BlobContent {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A staged object.
    Staged {
        /// Its key in staging.
        key: String,
        /// Its bytes, if they are in memory.
        in_memory: Option<Bytes>,
    },
}
