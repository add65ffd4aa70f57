//! The error of an operation into which a test injected a fault.

/// The error of an operation into which a test injected a fault. The number says which operation of the crash plan
/// failed. For a switched fault, it says how often the operation has met the fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operation {0} failed, because a test injected a fault")]
pub struct InjectedFault(pub(crate) u64);
