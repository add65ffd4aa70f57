//! What is to be written: a key and where the bytes come from.

use bytes::Bytes;

/// A blob in the making.
#[derive(Clone, Debug)]
pub struct NewBlob {
    /// What it is to be found under. Nobody else writes there.
    pub key: String,
    /// What it is made of.
    pub content: BlobContent,
}

/// What a blob is made of.
#[derive(Clone, Debug)]
pub enum BlobContent {
    /// These bytes.
    Bytes(Bytes),
    /// What lies in staging.
    Staged {
        /// Where.
        key: String,
        /// Its bytes, where they are in memory.
        in_memory: Option<Bytes>,
    },
}
