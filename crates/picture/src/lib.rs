//! The picture engine. It takes untrusted bytes and returns an upright picture in its sizes, in correct colours and
//! without metadata; or the reason for a rejection.
//!
//! The worker's render pool calls it, and gives it a thread, a memory budget and a deadline.
//! `cloakroom render` calls it too. It does no I/O, reads no clock and keeps no state between calls
//! but the buffers of a [`RenderBuffers`]. All image codecs of the program are in here.
//!
//! ```text
//! probe        parse the headers, and reject the file if they alone rule it out
//! decode       the first frame, no larger than the outputs need
//! geometry     choose the part of the picture for each output
//! resize       every size from the next larger one, planes as they are
//! orientation  turn upright, and as requested
//! colour       convert to sRGB
//! letterbox    add bars, if requested
//! encode       JPEG or PNG, from the pixels alone
//! ```
//!
//! The first two steps read hostile bytes, and are memory-safe code throughout; after them there are only samples.
//! Orientation and colour come after resizing, because they are cheap on a thumbnail and expensive on a photograph.

mod black_point;
mod cancel;
mod colour;
mod colour_description;
mod colour_source;
mod decode;
mod decoder;
mod encode;
mod exif;
mod formats;
mod geometry;
mod letterbox;
mod limits;
mod orientation;
mod plan;
mod probe;
mod probed_picture;
mod raster;
mod rejection;
mod render;
mod resize;
mod zigzag;

pub use cancel::CancelFlag;
pub use limits::Limits;
pub use orientation::Orientation;
pub use plan::{OutputFormat, OutputSpec, Region, RenderPlan, Shape};
pub use probe::probe;
pub use probed_picture::Probe;
pub use rejection::{LimitKind, Rejection};
pub use render::{RenderBuffers, RenderedPicture, RenderedVariant, render};
