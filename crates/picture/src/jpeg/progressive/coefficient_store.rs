//! The coefficients of a component while its scans are read.

use crate::rejection::{LimitKind, Rejection};

/// The coefficients of one component.
pub(super) struct CoefficientStore {
    /// N × N for each block, in the layout of [`Block`].
    pub(super) wanted: Vec<i16>,
    /// For each block, which of its coefficients are not zero so far; bit k is the k-th coefficient.
    pub(super) nonzero: Vec<u64>,
}

/// Allocates `length` zeros, or returns a rejection if memory has run out.
pub(super) fn zeroed<T: Copy + Default>(length: usize) -> Result<Vec<T>, Rejection> {
    let mut out = Vec::new();
    let actual = (length * size_of::<T>()) as u64;
    out.try_reserve_exact(length).map_err(|_| Rejection::LimitExceeded {
        excess: LimitKind::Memory,
        limit: 0,
        actual,
    })?;
    out.resize(length, T::default());
    Ok(out)
}
