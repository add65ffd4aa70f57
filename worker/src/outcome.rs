//! How a job ends, as its handler sees it. Whether an error is worth another try is decided where it happens, because
//! only there is it known.

use upload::{PlaceError, QueueError, Reason, RecordsError, StoreError, Verdict};

/// The three outcomes. An upload that was rejected is a job that was done.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Settled; this is what those who wait are told. None when something else had been decided before.
    Done(Option<Verdict>),
    /// Not settled, and another attempt may do better; with the chain of what went wrong.
    Retry(String),
    /// Not settled, and no attempt ever will be.
    Dead(Reason),
}

/// A place failed: try again where that can help.
impl From<PlaceError> for Outcome {
    fn from(error: PlaceError) -> Self {
        if error.is_transient() {
            Self::Retry(chain(&error))
        } else {
            Self::Dead(Reason::new("unusable", chain(&error)))
        }
    }
}

impl From<StoreError> for Outcome {
    fn from(error: StoreError) -> Self {
        PlaceError::from(error).into()
    }
}

impl From<RecordsError> for Outcome {
    fn from(error: RecordsError) -> Self {
        PlaceError::from(error).into()
    }
}

impl From<QueueError> for Outcome {
    fn from(error: QueueError) -> Self {
        PlaceError::from(error).into()
    }
}

/// An error and all its causes, in one line, for a log or a dead letter.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Transparent errors repeat their source's words.
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}
