//! The coefficients of a component while its scans are read.

use crate::rejection::Rejection;

/// The coefficients of one component.
pub(super) struct CoefficientStore {
    /// N × N coefficients for each block, in the layout of [`crate::formats::jpeg::idct::Block`].
    pub(super) wanted: Vec<i16>,
    /// For each block, which of its coefficients are not zero so far; bit k is the k-th coefficient.
    pub(super) nonzero: Vec<u64>,
}

/// Allocates `length` zeros.
pub(super) fn zeroed<T: Copy + Default>(length: usize) -> Result<Vec<T>, Rejection> {
    let mut out = Vec::new();
    out.try_reserve_exact(length).map_err(|_| Rejection::out_of_memory(length.saturating_mul(size_of::<T>())))?;
    out.resize(length, T::default());
    Ok(out)
}
