//! The queues of jobs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::unknown_value::UnknownValue;

/// The queues: one for each kind of work, so that each is scaled separately, and two for jobs that would delay other
/// users. [`Routing`](crate::Routing) chooses the queue of a job when the job is admitted, and the job's row keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueName {
    /// Uploaded pictures to process.
    Pictures,
    /// Variants that a client is waiting for.
    Variants,
    /// Versions and custom renditions of files, which may be large and are mostly copied.
    Renditions,
    /// Jobs of any kind, of principals that have many in flight. Also all jobs that verify stored
    /// bytes.
    Bulk,
    /// Jobs of any kind, on pictures that take long to render.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_stored_in_these_words() {
        assert_eq!(QueueName::ALL.map(QueueName::as_str), ["pictures", "variants", "renditions", "bulk", "heavy"]);
        for queue in QueueName::ALL {
            assert_eq!(queue.to_string().parse(), Ok(queue));
        }
        assert!("Pictures".parse::<QueueName>().is_err());
    }
}
