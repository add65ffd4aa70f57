//! Why the API could not be opened, or why one of its commands failed.

use domain::InvalidSetting;
use records::RecordsError;

use crate::auth::signing_keys::KeyError;

/// Why the API could not be opened, or why one of its commands failed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The records failed.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// Invalid input. The text says what is wrong and what to do.
    #[error("{0}")]
    InvalidInput(String),
}

impl From<InvalidSetting> for OpenError {
    fn from(error: InvalidSetting) -> Self {
        Self::InvalidInput(error.to_string())
    }
}

impl From<KeyError> for OpenError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Records(error) => Self::Records(error),
            KeyError::Random(_) => Self::InvalidInput(error.to_string()),
        }
    }
}
