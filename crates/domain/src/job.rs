//! Jobs: their kinds and their messages. The worker has the handlers.
//!
//! A job contains only what identifies its work: an upload's id and, for a variant, the number of the
//! crop and the variant's name. Everything else is in the records, where it cannot become stale.
//! The kind of a job is versioned. If its meaning changes, a new version is added and the old one
//! stays decodable, so that an old api and a new worker understand each other. The tests hold a
//! golden text of each version. A worker parks a message whose kind it does not know.
//!
//! To add a kind:
//!
//! - In this file, add a variant of [`Job`] with its payload, a line in `Job::spec`, and a golden text in the tests.
//! - In the worker, add a handler in a file of its own in `job_handlers`, and two lines in `job_handlers.rs`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::queue_name::QueueName;
use crate::unknown_value::UnknownValue;
use crate::upload::{JobId, UploadId};
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
        /// The number of the crop: the upload's generation when the variant was requested.
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
    /// Reads the stored bytes of a ready upload again, and compares them with their digests.
    #[serde(rename = "upload.verify.v1")]
    VerifyUpload {
        /// The upload.
        upload: UploadId,
    },
}

/// The state of a job that is not done. A job that is done has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// The job waits for a worker, or a worker runs it.
    Queued,
    /// The job ran out of attempts, or no attempt can succeed. An operator retries or discards it.
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

/// The properties that all jobs of a kind have in common.
struct JobSpec {
    /// The kind with its version, as on the wire.
    kind: &'static str,
    /// The queue for jobs of this kind.
    queue: QueueName,
    /// Whether the job settles its upload, so that the upload waits for the job.
    settles_upload: bool,
}

impl Job {
    /// The one place that lists these properties for each kind. The worker names the handler of each kind.
    fn spec(&self) -> JobSpec {
        let (kind, queue, settles_upload) = match self {
            Self::ProcessPicture { .. } => ("picture.process.v1", QueueName::Pictures, true),
            Self::MakeVariant { .. } => ("picture.variant.v1", QueueName::Variants, false),
            Self::ProcessRendition { .. } => ("rendition.process.v1", QueueName::Renditions, true),
            Self::ProcessFile { .. } => ("file.process.v1", QueueName::Renditions, true),
            Self::VerifyUpload { .. } => ("upload.verify.v1", QueueName::Bulk, false),
        };
        JobSpec { kind, queue, settles_upload }
    }

    /// The kind with its version, as on the wire.
    pub fn kind(&self) -> &'static str {
        self.spec().kind
    }

    /// The queue for jobs of this kind. [`Routing`](crate::Routing) may choose another queue for a single job.
    pub fn queue(&self) -> QueueName {
        self.spec().queue
    }

    /// Whether the job settles its upload, so that the upload waits for the job. The deadline of the upload ends such a
    /// job.
    pub fn settles_upload(&self) -> bool {
        self.spec().settles_upload
    }

    /// The upload that the job is about.
    pub fn upload(&self) -> UploadId {
        match self {
            Self::ProcessPicture { upload }
            | Self::MakeVariant { upload, .. }
            | Self::ProcessRendition { upload }
            | Self::ProcessFile { upload }
            | Self::VerifyUpload { upload } => *upload,
        }
    }
}

/// A job message, as published to the queue and delivered by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "JobMessageBody")]
pub struct JobMessage {
    /// The id of the job's row in the records. The row decides whether the job must still run, so a job whose message
    /// is delivered twice is done once.
    pub id: JobId,
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// The queue of the message. Not in the body, because the text of the body never changes.
    #[serde(skip)]
    pub queue: QueueName,
    /// The user that the job is done for. Workers share their slots among users. Empty in messages
    /// of an older version. Not in the body, for the same reason as the queue.
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
            (
                r#"{"id":"00000000-0000-0000-0000-000000000007","kind":"upload.verify.v1","upload":1001}"#,
                Job::VerifyUpload { upload },
            ),
        ] {
            let message = JobMessage::new(id, job);
            assert_eq!(serde_json::from_str::<JobMessage>(text).unwrap(), message);
            assert_eq!(serde_json::to_string(&message).unwrap(), text);
            assert!(text.contains(message.job.kind()));
        }
    }

    #[test]
    fn states_are_stored_in_these_words() {
        for (state, word) in [(JobState::Queued, "queued"), (JobState::Dead, "dead")] {
            assert_eq!(state.to_string(), word);
            assert_eq!(word.parse(), Ok(state));
        }
        assert!("done".parse::<JobState>().is_err());
    }
}
