//! The settings of a worker: the resources it may use, its time limits and its retries.

use std::time::Duration;

use bytesize::ByteSize;
use domain::{InvalidSetting, QueueName};
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly_duration;
use picture::Limits;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

/// The settings of this crate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerSettings {
    /// Section `[worker]`.
    pub worker: JobSettings,
    /// Section `[pictures]`.
    pub pictures: PictureSettings,
    /// Section `[sweep]`.
    pub sweep: SweepSettings,
}

impl WorkerSettings {
    /// Checks the settings without starting anything. The settings that are not checked here may be 0.
    ///
    /// # Errors
    /// If a setting has a value with which the worker or the sweeper could do nothing. The error names the setting.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let Self { worker, pictures, sweep } = self;
        InvalidSetting::require(!worker.queues.is_empty(), "worker.queues", "[]", "name one queue or more")?;
        let max = Semaphore::MAX_PERMITS;
        let allowed = format!("write a number from 0 to {max}; 0 means four for each processor");
        InvalidSetting::require(worker.concurrency <= max, "worker.concurrency", worker.concurrency, &allowed)?;
        InvalidSetting::require_positive([
            ("worker.max_attempts", worker.max_attempts.into()),
            ("pictures.max_pixels", pictures.max_pixels),
            ("pictures.max_frames", pictures.max_frames.into()),
            ("pictures.max_memory", pictures.max_memory.as_u64()),
            ("sweep.batch_size", sweep.batch_size),
        ])?;
        let (side, allowed) = (pictures.max_side, "write 1 to 65535, which is the largest side of a JPEG");
        InvalidSetting::require((1..=65_535).contains(&side), "pictures.max_side", side, allowed)?;
        for (key, time) in [
            ("worker.render_timeout", worker.render_timeout),
            ("worker.job_timeout", worker.job_timeout),
            ("worker.lease", worker.lease),
            ("sweep.interval", sweep.interval),
        ] {
            InvalidSetting::require(!time.is_zero(), key, "0s", "write a longer time, such as 5s")?;
        }
        Ok(())
    }
}

/// How jobs are run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSettings {
    /// The queues that this process consumes.
    pub queues: Vec<QueueName>,
    /// Jobs at a time, over all queues; 0 means four for each processor, so that some can wait for a store while others
    /// render.
    pub concurrency: usize,
    /// Threads that render; 0 means one for each processor.
    pub threads: usize,
    /// Memory that all pictures in progress may use together; 0 means half of the memory of the machine or container.
    pub memory: ByteSize,
    /// How long one picture may take to render.
    #[serde(with = "friendly_duration")]
    pub render_timeout: Duration,
    /// How long one attempt at a job may take, with all its steps.
    #[serde(with = "friendly_duration")]
    pub job_timeout: Duration,
    /// How long the lease of a dead worker keeps its job from being taken by another worker.
    #[serde(with = "friendly_duration")]
    pub lease: Duration,
    /// How many attempts a job has before it becomes a dead letter.
    pub max_attempts: u32,
    /// The wait before the second attempt; it doubles with every further one.
    #[serde(with = "friendly_duration")]
    pub initial_backoff: Duration,
    /// The longest wait between attempts.
    #[serde(with = "friendly_duration")]
    pub max_backoff: Duration,
}

/// The limits for accepted pictures, checked against their headers before anything is decoded.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PictureSettings {
    /// Width times height.
    pub max_pixels: u64,
    /// Width or height.
    pub max_side: u32,
    /// Frames of an animation, of which only the first is shown.
    pub max_frames: u32,
    /// Memory that one picture may need.
    pub max_memory: ByteSize,
}

impl PictureSettings {
    /// The same limits in the form that the picture engine takes.
    pub fn limits(&self) -> Limits {
        Limits {
            max_pixels: self.max_pixels,
            max_side: self.max_side,
            max_frames: self.max_frames,
            max_memory: self.max_memory.as_u64(),
            ..Limits::default()
        }
    }
}

/// How often the sweeper runs, and how much it changes in one transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepSettings {
    /// The time between two rounds.
    #[serde(with = "friendly_duration")]
    pub interval: Duration,
    /// The time between two searches for orphans in staging; each search lists all of staging.
    #[serde(with = "friendly_duration")]
    pub orphan_interval: Duration,
    /// The minimum age of staged bytes before they count as an orphan: longer than any upload may take.
    #[serde(with = "friendly_duration")]
    pub min_orphan_age: Duration,
    /// The number of rows to change in one transaction.
    pub batch_size: u64,
}
