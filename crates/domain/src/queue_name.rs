//! The queues of jobs, and which job goes into which.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Job, UnknownValue};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UploadId;

    #[test]
    fn the_queue_of_a_job_depends_on_its_cost_and_on_what_its_principal_has_in_flight() {
        let routing = Routing { heavy_threshold: Duration::from_millis(250), bulk_threshold: 8 };
        let upload = UploadId::try_from(1001).unwrap();
        let (quick, slow) = (Duration::from_millis(250), Duration::from_millis(251));
        for (in_flight, estimate, queue) in [
            (1, quick, QueueName::Pictures),
            (8, quick, QueueName::Pictures),
            (8, slow, QueueName::Heavy),
            (9, quick, QueueName::Bulk),
            (9, slow, QueueName::Bulk),
        ] {
            assert_eq!(routing.queue(&Job::ProcessPicture { upload }, in_flight, estimate), queue);
        }
        let variant = Job::MakeVariant { upload, generation: 0, variant: "75.png".parse().unwrap() };
        assert_eq!(routing.queue(&variant, 1, slow), QueueName::Heavy);
    }

    #[test]
    fn queues_are_stored_in_these_words() {
        assert_eq!(QueueName::ALL.map(QueueName::as_str), ["pictures", "variants", "renditions", "bulk", "heavy"]);
        for queue in QueueName::ALL {
            assert_eq!(queue.to_string().parse(), Ok(queue));
        }
        assert!("Pictures".parse::<QueueName>().is_err());
    }
}
