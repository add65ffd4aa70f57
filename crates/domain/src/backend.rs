//! The names of the four backends, for code that handles the failures of all backends in the same way: a worker that
//! pauses, a job that records which backend it waits for, a probe.

use std::str::FromStr;

use crate::unknown_value::UnknownValue;

/// One of the four backends, named after its section in the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Uploaded bytes as received.
    Staging,
    /// Bytes that are served.
    Blobs,
    /// The database.
    Records,
    /// The message broker.
    Queue,
}

impl Backend {
    /// All backends.
    pub const ALL: [Self; 4] = [Self::Staging, Self::Blobs, Self::Records, Self::Queue];

    /// The name in settings, metrics and the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::Blobs => "blobs",
            Self::Records => "records",
            Self::Queue => "queue",
        }
    }

    /// A description of the backend for a client.
    pub fn description(self) -> &'static str {
        match self {
            Self::Staging => "the storage for incoming files",
            Self::Blobs => "the storage for finished files",
            Self::Records => "the database",
            Self::Queue => "the message broker",
        }
    }
}

impl FromStr for Backend {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        Self::ALL.into_iter().find(|backend| backend.as_str() == text).ok_or_else(|| UnknownValue(text.to_owned()))
    }
}
