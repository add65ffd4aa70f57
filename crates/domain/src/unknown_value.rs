//! The error of a stored name that this version of the program does not know.

/// A name in the records that this version of the program does not know, because a newer version wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" stands in the records, and this version of cloakroom does not know what it means")]
pub struct UnknownValue(pub String);
