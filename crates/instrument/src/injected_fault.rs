//! The error of an operation that a test made fail.

/// An operation that a test made fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operation {0} was made to fail by a test")]
pub struct InjectedFault(pub(crate) u64);
