//! The result of one attempt at a job, as its handler reports it. The code that meets an error decides whether another
//! attempt makes sense, because only that code knows the cause.

use backends::BackendError;
use domain::{Backend, Outcome, Reason, ReasonCode};
use queue::QueueError;
use records::RecordsError;
use storage::StoreError;

pub(crate) use domain::chain;

/// How an attempt ended. An attempt that rejected its upload is `Done`, because no other attempt is needed.
#[derive(Debug)]
pub(crate) enum AttemptResult {
    /// The job is settled, with the outcome for the waiting clients. None if this attempt changed nothing, because the
    /// upload or variant was settled before.
    Done(Option<Outcome>),
    /// The job is not settled, because a backend failed. The failure says nothing about the picture, so the attempt
    /// does not count.
    Postponed {
        /// The failed backend.
        backend: Backend,
        /// The error with its causes.
        error: String,
    },
    /// The job is not settled, and another attempt may succeed. Holds the error with its causes. The attempt counts,
    /// because the picture may be the cause.
    Retry(String),
    /// The job is not settled, and no attempt can succeed. Holds the reason for the client, and the error with its
    /// causes for operators.
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
