//! Jobs: their kinds, their queues and their messages. The worker has the handlers.
//!
//! A job carries ids only; everything else is in the records, where it cannot become stale. Its kind is versioned. A
//! change of meaning is a new version beside the old one, which stays decodable, so that an old api and a new worker
//! understand each other. The tests hold a golden text of each version. A worker parks what it does not know.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::upload::{JobId, UnknownValue, UploadId};
use crate::variant_name::VariantName;

/// A piece of work on one upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Job {
    /// Checks an upload, renders its first sizes, and settles it as ready or rejected.
    #[serde(rename = "picture.process.v1")]
    ProcessPicture {
        /// The upload.
        upload: UploadId,
    },
    /// Renders one more variant of a ready picture.
    #[serde(rename = "picture.variant.v1")]
    MakeVariant {
        /// The upload.
        upload: UploadId,
        /// The crop's generation.
        generation: u32,
        /// The variant.
        variant: VariantName,
    },
    /// Checks a custom rendition of a file, and keeps it unchanged or rejects it.
    #[serde(rename = "rendition.process.v1")]
    ProcessRendition {
        /// The upload.
        upload: UploadId,
    },
    /// Checks a version of a file, and keeps it unchanged or rejects it.
    #[serde(rename = "file.process.v1")]
    ProcessFile {
        /// The upload.
        upload: UploadId,
    },
}

/// The queues: one for each kind of work, so that each is scaled separately, and two for jobs that would delay other
/// users. [`Routing`] chooses one when a job is admitted, and the job's row keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueName {
    /// Uploaded pictures to process.
    Pictures,
    /// Variants that a client is waiting for.
    Variants,
    /// Versions and custom renditions of files, which may be large and are mostly copied.
    Renditions,
    /// Jobs of any kind, of principals that have many in flight.
    Bulk,
    /// Jobs of any kind, on pictures that take long to decode.
    Heavy,
}

impl QueueName {
    /// All queues.
    pub const ALL: [Self; 5] = [Self::Pictures, Self::Variants, Self::Renditions, Self::Bulk, Self::Heavy];

    /// The name in settings, queue names and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pictures => "pictures",
            Self::Variants => "variants",
            Self::Renditions => "renditions",
            Self::Bulk => "bulk",
            Self::Heavy => "heavy",
        }
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for QueueName {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        Self::ALL.into_iter().find(|queue| queue.as_str() == text).ok_or_else(|| UnknownValue(text.to_owned()))
    }
}

/// The state of a job that is not done. A job that is done has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// It waits for a worker, or a worker runs it.
    Queued,
    /// It ran out of attempts, or no attempt can succeed. An operator retries or discards it.
    Dead,
}

impl JobState {
    /// The name in the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for JobState {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        [Self::Queued, Self::Dead]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownValue(text.to_owned()))
    }
}

/// Which jobs go to the queues `bulk` and `heavy`, of which workers run only a share while other jobs wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routing {
    /// A picture that takes longer than this to render, by [`estimate`](crate::estimate_render_time), is heavy.
    pub heavy_threshold: Duration,
    /// How many jobs of one principal may be in flight before its further ones go to `bulk`.
    pub bulk_threshold: u32,
}

impl Default for Routing {
    fn default() -> Self {
        Self { heavy_threshold: Duration::from_millis(250), bulk_threshold: 8 }
    }
}

impl Routing {
    /// The queue of a job on a picture that takes about `estimate` to render, if its principal has `in_flight` jobs
    /// in flight, this one included.
    ///
    /// A long backlog takes precedence over a heavy picture, because in `heavy` it would delay the users that send
    /// one heavy picture now and then.
    pub fn queue(&self, job: &Job, in_flight: u64, estimate: Duration) -> QueueName {
        if in_flight > u64::from(self.bulk_threshold) {
            QueueName::Bulk
        } else if self.is_heavy(estimate) {
            QueueName::Heavy
        } else {
            job.queue()
        }
    }

    /// Whether a picture that takes about this long is heavy.
    pub fn is_heavy(&self, estimate: Duration) -> bool {
        estimate > self.heavy_threshold
    }
}

impl Job {
    /// The kind with its version, as on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ProcessPicture { .. } => "picture.process.v1",
            Self::MakeVariant { .. } => "picture.variant.v1",
            Self::ProcessRendition { .. } => "rendition.process.v1",
            Self::ProcessFile { .. } => "file.process.v1",
        }
    }

    /// The upload that the job is about.
    pub fn upload(&self) -> UploadId {
        match self {
            Self::ProcessPicture { upload }
            | Self::MakeVariant { upload, .. }
            | Self::ProcessRendition { upload }
            | Self::ProcessFile { upload } => *upload,
        }
    }

    /// The queue of its kind of work.
    pub fn queue(&self) -> QueueName {
        match self {
            Self::ProcessPicture { .. } => QueueName::Pictures,
            Self::MakeVariant { .. } => QueueName::Variants,
            Self::ProcessRendition { .. } | Self::ProcessFile { .. } => QueueName::Renditions,
        }
    }

    /// Whether the job settles an upload, which waits for it.
    pub fn is_processing(&self) -> bool {
        !matches!(self, Self::MakeVariant { .. })
    }
}

/// A job message, as published to the queue and delivered by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "JobMessageBody")]
pub struct JobMessage {
    /// The id of the job's row in the records. The row decides whether a delivery is still work, so a message
    /// delivered twice is done once.
    pub id: JobId,
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// The queue of the message. Not in the body, because the text of the body never changes.
    #[serde(skip)]
    pub queue: QueueName,
    /// The user that the job is done for. Workers share their slots among users. Empty in messages of an older
    /// version. Not in the body either.
    #[serde(skip)]
    pub principal: String,
    /// The trace that the job belongs to, as a W3C `traceparent`. Not in the body, because the job does not depend on
    /// it.
    #[serde(skip)]
    pub traceparent: Option<String>,
}

impl JobMessage {
    /// A message in the queue of its kind, for no principal.
    pub fn new(id: JobId, job: Job) -> Self {
        Self { queue: job.queue(), id, job, principal: String::new(), traceparent: None }
    }
}

/// The body of a job message.
#[derive(Deserialize)]
struct JobMessageBody {
    id: JobId,
    #[serde(flatten)]
    job: Job,
}

impl From<JobMessageBody> for JobMessage {
    fn from(body: JobMessageBody) -> Self {
        Self::new(body.id, body.job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden texts: these stay decodable for ever, because old messages may still be in a queue.
    #[test]
    fn every_version_ever_sent_is_understood() {
        let id = JobId::from_u128(7);
        let upload = UploadId::try_from(1001).unwrap();
        for (text, job) in [
            (
                r#"{"id":"00000000-0000-0000-0000-000000000007","kind":"picture.process.v1","upload":1001}"#,
                Job::ProcessPicture { upload },
            ),
            (
                r#"{"id":"00000000-0000-0000-0000-000000000007","kind":"picture.variant.v1","upload":1001,"generation":2,"variant":"75.png"}"#,
                Job::MakeVariant { upload, generation: 2, variant: "75.png".parse().unwrap() },
            ),
            (
                r#"{"id":"00000000-0000-0000-0000-000000000007","kind":"rendition.process.v1","upload":1001}"#,
                Job::ProcessRendition { upload },
            ),
            (
                r#"{"id":"00000000-0000-0000-0000-000000000007","kind":"file.process.v1","upload":1001}"#,
                Job::ProcessFile { upload },
            ),
        ] {
            let message = JobMessage::new(id, job);
            assert_eq!(serde_json::from_str::<JobMessage>(text).unwrap(), message);
            assert_eq!(serde_json::to_string(&message).unwrap(), text);
            assert!(text.contains(message.job.kind()));
        }
    }

    #[test]
    fn the_queue_of_a_job_depends_on_its_cost_and_on_what_its_principal_has_in_flight() {
        let routing = Routing { heavy_threshold: Duration::from_millis(250), bulk_threshold: 8 };
        let upload = UploadId::try_from(1001).unwrap();
        let (quick, slow) = (Duration::from_millis(250), Duration::from_millis(251));
        for (in_flight, estimate, lane) in [
            (1, quick, QueueName::Pictures),
            (8, quick, QueueName::Pictures),
            (8, slow, QueueName::Heavy),
            (9, quick, QueueName::Bulk),
            (9, slow, QueueName::Bulk),
        ] {
            assert_eq!(routing.queue(&Job::ProcessPicture { upload }, in_flight, estimate), lane);
        }
        let variant = Job::MakeVariant { upload, generation: 0, variant: "75.png".parse().unwrap() };
        assert_eq!(routing.queue(&variant, 1, slow), QueueName::Heavy);
    }

    #[test]
    fn queues_and_states_are_stored_in_these_words() {
        assert_eq!(QueueName::ALL.map(QueueName::as_str), ["pictures", "variants", "renditions", "bulk", "heavy"]);
        for queue in QueueName::ALL {
            assert_eq!(queue.to_string().parse(), Ok(queue));
        }
        assert!("Pictures".parse::<QueueName>().is_err());
        for (state, word) in [(JobState::Queued, "queued"), (JobState::Dead, "dead")] {
            assert_eq!(state.to_string(), word);
            assert_eq!(word.parse(), Ok(state));
        }
        assert!("done".parse::<JobState>().is_err());
    }
}
