//! The error of an operation that a test made fail.

/// An operation that a test made fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operation {0} failed, because a test injected a fault")]
pub struct InjectedFault(pub(crate) u64);
