//! An upload that was staged and is not admitted yet.

use std::time::Duration;

use crate::media::Media;

/// Staged bytes, complete and durable.
#[derive(Clone, Debug)]
pub struct Staged {
    /// The key in staging.
    pub key: String,
    /// The number of bytes.
    pub bytes: u64,
    /// The SHA-256 digest of the bytes, in hex.
    pub sha256: String,
    /// The media type sniffed from the first [`SNIFF_BYTES`](crate::SNIFF_BYTES).
    pub media: Option<Media>,
    /// The estimated time to render the picture, from its header; zero if the bytes are no picture.
    pub render_estimate: Duration,
}
