//! The name of an operation at a backend.

/// An operation: the backend and the operation's name.
pub type OperationKey = (&'static str, &'static str);
