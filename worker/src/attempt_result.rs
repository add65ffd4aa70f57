//! The result of one attempt at a job, as its handler reports it. The code that meets an error decides whether another
//! attempt makes sense, because only that code knows.

use backends::BackendError;
use domain::{Backend, Outcome, Reason, ReasonCode};
use queue::QueueError;
use records::RecordsError;
use storage::StoreError;

pub(crate) use domain::chain;

/// The results. A job that rejects its upload is done.
#[derive(Debug)]
pub(crate) enum AttemptResult {
    /// Settled, with the outcome for the waiting clients. None if the upload or variant had been decided before.
    Done(Option<Outcome>),
    /// Not settled because a backend failed. That says nothing about the picture, so the attempt does not count.
    Postponed {
        /// The failed backend.
        backend: Backend,
        /// The error with its causes.
        error: String,
    },
    /// Not settled, and another attempt may succeed. Holds the error with its causes; the picture may be at fault.
    Retry(String),
    /// Not settled, and no attempt can succeed: the reason for the client, and the error with its causes for operators.
    Dead(Reason, String),
}

impl AttemptResult {
    /// Marks the job dead with a reason that needs no further detail for operators.
    pub(crate) fn dead(reason: Reason) -> Self {
        let error = reason.message.clone();
        Self::Dead(reason, error)
    }
}

impl From<BackendError> for AttemptResult {
    fn from(error: BackendError) -> Self {
        let errors = chain(&error);
        if let Some(backend) = error.outage() {
            return Self::Postponed { backend, error: errors };
        }
        match error {
            BackendError::Store(StoreError::Missing { .. }) => Self::Dead(
                Reason::new(ReasonCode::BytesLost, "the bytes of this upload are lost; upload it again"),
                errors,
            ),
            error if error.is_transient() => Self::Retry(errors),
            _ => {
                let why = "this upload cannot be processed as it is stored; ask the operator";
                Self::Dead(Reason::new(ReasonCode::Unusable, why), errors)
            }
        }
    }
}

impl From<StoreError> for AttemptResult {
    fn from(error: StoreError) -> Self {
        BackendError::from(error).into()
    }
}

impl From<RecordsError> for AttemptResult {
    fn from(error: RecordsError) -> Self {
        BackendError::from(error).into()
    }
}

impl From<QueueError> for AttemptResult {
    fn from(error: QueueError) -> Self {
        BackendError::from(error).into()
    }
}
