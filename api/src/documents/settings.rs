//! `[documents]`: what is taken for files.

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// `[documents]`: how large files and renditions may be, and how many renditions a version may have.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentSettings {
    /// The largest custom rendition.
    pub max_rendition_bytes: ByteSize,
    /// The largest file.
    pub max_file_bytes: ByteSize,
    /// The most custom renditions of one version.
    pub most_renditions: u64,
    /// How many access codes may be tried at one public link per `realm.login_window`.
    pub code_tries: u32,
    /// How many from one network address.
    pub code_tries_per_address: u32,
}
