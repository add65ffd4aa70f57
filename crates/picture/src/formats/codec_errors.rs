//! The errors that the third-party codecs have in common: reading and memory.

use std::io;

use domain::Media;

use crate::limits::Limits;
use crate::rejection::{LimitKind, Rejection};

/// Returns the rejection for an error of the reader. The file is in memory, so reading fails only
/// at its end or if a position in it is wrong.
pub(super) fn read_error(media: Media, error: &io::Error) -> Rejection {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Rejection::broken(media, "it ends too early"),
        _ => Rejection::broken(media, "its parts are not at the positions that its header names"),
    }
}

/// Returns the rejection for a decoder that needs more memory than `limits` allow. The decoders do
/// not say how much they would need, so the rejection says one byte more than the limit.
pub(super) fn too_much_memory(limits: &Limits) -> Rejection {
    let limit = limits.max_memory;
    Rejection::LimitExceeded { excess: LimitKind::Memory, limit, actual: limit.saturating_add(1) }
}
