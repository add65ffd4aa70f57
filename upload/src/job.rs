//! The promises of work: what a job is called and what it carries. Handlers are the worker's.
//!
//! A job carries ids only; everything else is in the records, where it cannot grow stale. Its kind is versioned: a
//! change of meaning is a new version beside the old, which stays decodable (a golden text of each stands in the
//! tests), so that an old api and a new worker understand each other. What a worker does not know it parks.

use serde::{Deserialize, Serialize};

use crate::{JobId, UploadId, VariantName};

/// A piece of work on one upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Job {
    /// Check an upload, make its first sizes, promote it or say no.
    #[serde(rename = "picture.process.v1")]
    ProcessPicture {
        /// Whose.
        upload: UploadId,
    },
    /// Make one more variant of a picture that is ready.
    #[serde(rename = "picture.variant.v1")]
    MakeVariant {
        /// Whose.
        upload: UploadId,
        /// Which crop of it.
        generation: u32,
        /// Which.
        variant: VariantName,
    },
    /// Check a custom rendition of a file, keep it as it came, or say no.
    #[serde(rename = "rendition.process.v1")]
    ProcessRendition {
        /// Whose.
        upload: UploadId,
    },
    /// The same for a version of a file.
    #[serde(rename = "file.process.v1")]
    ProcessFile {
        /// Whose.
        upload: UploadId,
    },
}

/// The queues, one per kind of work, so that each is scaled and starved alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Uploads to process.
    Pictures,
    /// Variants that somebody is looking at an empty frame for.
    Variants,
    /// Versions and custom renditions of files, which may be large and are mostly copied.
    Renditions,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pictures, Self::Variants, Self::Renditions];

    /// The queue in which jobs of this kind travel.
    pub fn of(kind: &str) -> Self {
        match kind {
            kind if kind.starts_with("picture.variant.") => Self::Variants,
            kind if kind.starts_with("picture.") => Self::Pictures,
            _ => Self::Renditions,
        }
    }

    /// The word in settings, queue names and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pictures => "pictures",
            Self::Variants => "variants",
            Self::Renditions => "renditions",
        }
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

    /// The upload it is about.
    pub fn upload(&self) -> UploadId {
        match self {
            Self::ProcessPicture { upload }
            | Self::MakeVariant { upload, .. }
            | Self::ProcessRendition { upload }
            | Self::ProcessFile { upload } => *upload,
        }
    }

    /// The queue it travels in.
    pub fn lane(&self) -> Lane {
        match self {
            Self::ProcessPicture { .. } => Lane::Pictures,
            Self::MakeVariant { .. } => Lane::Variants,
            Self::ProcessRendition { .. } | Self::ProcessFile { .. } => Lane::Renditions,
        }
    }

    /// Whether it decides about an upload, which waits for it.
    pub fn settles(&self) -> bool {
        !matches!(self, Self::MakeVariant { .. })
    }
}

/// A job on its way: what is put into the queue and comes out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The job's row in the records, which is the arbiter: a ticket seen twice is work done once.
    pub id: JobId,
    /// What to do.
    #[serde(flatten)]
    pub job: Job,
    /// The trace that it belongs to, as a W3C `traceparent`; beside the body, because it is nothing to act upon.
    #[serde(skip)]
    pub trace: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden texts: these stay decodable for ever, because they may lie in somebody's queue.
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
            assert_eq!(Lane::of(job.kind()), job.lane());
            let ticket = Ticket { id, job, trace: None };
            assert_eq!(serde_json::from_str::<Ticket>(text).unwrap(), ticket);
            assert_eq!(serde_json::to_string(&ticket).unwrap(), text);
            assert!(text.contains(ticket.job.kind()));
        }
    }
}
