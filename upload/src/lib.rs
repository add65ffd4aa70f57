//! What api and worker agree on: the Upload and the four places it can be.

mod media;

pub use media::{Media, SNIFF_BYTES};
