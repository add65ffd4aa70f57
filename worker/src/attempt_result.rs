//! How a job ends, as its handler sees it. Whether an error is worth another try is decided where it happens, because
//! only there is it known.

pub(crate) use upload::chain;
use upload::{Backend, BackendError, Outcome, QueueError, Reason, RecordsError, StoreError};

/// The outcomes. An upload that was rejected is a job that was done.
#[derive(Debug)]
pub(crate) enum AttemptResult {
    /// Settled; this is what those who wait are told. None when something else had been decided before.
    Done(Option<Outcome>),
    /// Not settled because a backend failed, which says nothing about the picture: the attempt does not count.
    Postponed {
        /// Which.
        backend: Backend,
        /// The chain of what went wrong.
        error: String,
    },
    /// Not settled, and another attempt may do better; with the chain of what went wrong. It may be the picture's fault.
    Retry(String),
    /// Not settled, and no attempt ever will be: the reason for the client, and the chain of what went wrong for operators.
    Dead(Reason, String),
}

impl AttemptResult {
    /// No attempt will do better, and the reason says all there is to say.
    pub(crate) fn dead(reason: Reason) -> Self {
        let error = reason.why.clone();
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
            BackendError::Store(StoreError::Missing { .. }) => {
                Self::Dead(Reason::new("bytes_lost", "the bytes of this upload are lost; upload it again"), errors)
            }
            error if error.is_transient() => Self::Retry(errors),
            _ => {
                let why = "this upload cannot be processed as it is stored; ask the operator";
                Self::Dead(Reason::new("unusable", why), errors)
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
