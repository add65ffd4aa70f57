//! `[uploads]`: what is taken, and how long one waits.

use std::time::Duration;

use bytesize::ByteSize;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as human;
use serde::{Deserialize, Serialize};

/// `[uploads]`: what is taken, and how long one waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadSettings {
    /// The largest picture.
    pub max_bytes: ByteSize,
    /// How long a client waits for the verdict unless it prefers otherwise.
    #[serde(with = "human")]
    pub default_wait: Duration,
    /// The longest it may prefer.
    #[serde(with = "human")]
    pub max_wait: Duration,
    /// How long a picture waits to be claimed.
    #[serde(with = "human")]
    pub retention: Duration,
    /// How long workers have before an upload is settled as failed.
    #[serde(with = "human")]
    pub deadline: Duration,
    /// How many uploads may be on their way in at once.
    pub max_concurrent: usize,
    /// How many unclaimed pictures one user may have.
    pub max_unclaimed: u64,
    /// How many bytes of them.
    pub max_unclaimed_bytes: ByteSize,
    /// How many uploads of one user may wait for a worker, over the dropbox and files together.
    pub max_in_flight: u64,
    /// How many bytes may be stored for one user, originals and variants, over the dropbox and files together.
    pub max_stored_bytes: ByteSize,
    /// How many requests one user may make a minute.
    pub max_requests_per_minute: u32,
}
