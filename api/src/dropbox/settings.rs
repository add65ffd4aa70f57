//! `[uploads]`: limits of uploads and of requests, and how long requests wait for a worker.

use std::time::Duration;

use bytesize::ByteSize;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly_duration;
use serde::{Deserialize, Serialize};

/// `[uploads]`: limits of uploads and of requests, and how long requests wait for a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadSettings {
    /// The maximum size of a picture.
    pub max_bytes: ByteSize,
    /// How long a client waits for the outcome of its upload, unless the header `Prefer` asks for another time
    /// (`wait=N` or `respond-async`).
    #[serde(with = "friendly_duration")]
    pub default_wait: Duration,
    /// The longest wait that a client may ask for.
    #[serde(with = "friendly_duration")]
    pub max_wait: Duration,
    /// How long a picture waits to be claimed before it is deleted.
    #[serde(with = "friendly_duration")]
    pub retention: Duration,
    /// How long workers have to settle an upload before it fails.
    #[serde(with = "friendly_duration")]
    pub deadline: Duration,
    /// How many upload requests of all users together this process handles at the same time. A request counts from
    /// before its file is received until its response is ready.
    pub max_concurrent: usize,
    /// How many unclaimed pictures one user may have.
    pub max_unclaimed: u64,
    /// How many bytes of unclaimed pictures one user may have.
    pub max_unclaimed_bytes: ByteSize,
    /// How many uploads of one user may wait for a worker: pictures, files, versions and renditions together. Uploads
    /// that are still being received count too. Administrators are exempt.
    pub max_in_flight: u64,
    /// How many bytes may be stored for one user: originals and variants of pictures and files together.
    /// Administrators are exempt.
    pub max_stored_bytes: ByteSize,
    /// How many requests one user may make per minute.
    pub max_requests_per_minute: u32,
}
