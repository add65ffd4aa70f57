//! The version that must be current for a write to be made. The api takes it from the conditions of a request (RFC 9110, 13), and
//! the records check it in the transaction of the write.

/// The version that a write expects to be current. `V` identifies a version of what is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpectedVersion<V> {
    /// The write has no condition, or a condition that every version fulfils.
    #[default]
    Any,
    /// The condition held for this version. The write is refused if another version is current by now.
    Exactly(V),
    /// The condition did not hold when it was evaluated. The write is refused. Only the repetition of a write that was
    /// made already succeeds, which the operation checks before it asks [`Self::permits`].
    Outdated,
}

impl<V: PartialEq> ExpectedVersion<V> {
    /// Whether the write may be made while `current` is the current version.
    pub fn permits(&self, current: &V) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(expected) => expected == current,
            Self::Outdated => false,
        }
    }
}

/// A write was refused, because the version that it expected is not current any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the version that was to be changed is not current any more")]
pub struct VersionChanged;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_permitted_for_the_version_that_it_expects() {
        assert!(ExpectedVersion::Any.permits(&7));
        assert!(ExpectedVersion::Exactly(7).permits(&7));
        assert!(!ExpectedVersion::Exactly(7).permits(&8));
        assert!(!ExpectedVersion::Outdated.permits(&7));
    }
}
