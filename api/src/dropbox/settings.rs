//! `[uploads]`: limits of uploads, and how long to wait.

use std::time::Duration;

use bytesize::ByteSize;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly_duration;
use serde::{Deserialize, Serialize};

/// `[uploads]`: limits of uploads, and how long to wait.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadSettings {
    /// The largest picture.
    pub max_bytes: ByteSize,
    /// How long a client waits for the outcome without a preference of its own.
    #[serde(with = "friendly_duration")]
    pub default_wait: Duration,
    /// The longest wait that a client may prefer.
    #[serde(with = "friendly_duration")]
    pub max_wait: Duration,
    /// How long a picture is kept unless it is claimed.
    #[serde(with = "friendly_duration")]
    pub retention: Duration,
    /// The time that workers have before an upload is settled as failed.
    #[serde(with = "friendly_duration")]
    pub deadline: Duration,
    /// How many uploads may be in flight at once.
    pub max_concurrent: usize,
    /// How many unclaimed pictures one user may have.
    pub max_unclaimed: u64,
    /// How many bytes of unclaimed pictures one user may have.
    pub max_unclaimed_bytes: ByteSize,
    /// How many uploads of one user may wait for a worker, over the dropbox and files together.
    pub max_in_flight: u64,
    /// How many bytes may be stored for one user, originals and variants, over the dropbox and files together.
    pub max_stored_bytes: ByteSize,
    /// How many requests one user may make per minute.
    pub max_requests_per_minute: u32,
}
