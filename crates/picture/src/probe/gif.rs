//! GIF: finds the canvas and its first frame, and counts the frames, without decoding any.
//!
//! Rule: GIF89a, sections 17 to 27.

use domain::Media;

use crate::limits::Limits;
use crate::probed_picture::{FormatDetail, Probe};
use crate::rejection::Rejection;

pub(super) fn probe(file: &[u8], limits: &Limits) -> Result<Probe, Rejection> {
    let early = || Rejection::broken(Media::Gif, "it ends too early");
    let &[w0, w1, h0, h1, flags, _, _] = file.get(6..).and_then(<[u8]>::first_chunk).ok_or_else(early)?;
    let stored = (u32::from(u16::from_le_bytes([w0, w1])), u32::from(u16::from_le_bytes([h0, h1])));
    let frames = count_frames(file, 13 + colour_table_bytes(flags), limits.max_frames);
    let first = frames.first_descriptor.ok_or_else(early)?;
    let mut probe = Probe::new(Media::Gif, stored, FormatDetail::Gif { first, transparent: frames.transparent });
    // The first frame may leave parts of the canvas empty; those are transparent.
    probe.alpha = true;
    probe.frames = frames.count;
    Ok(probe)
}

/// The size in bytes of the colour table that `flags`, of the screen or of a frame, announce.
pub(crate) fn colour_table_bytes(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

#[derive(Default)]
struct FrameCount {
    count: u32,
    /// The position of the first frame's descriptor, after its introducer byte.
    first_descriptor: Option<usize>,
    /// The index of transparent pixels in the first frame.
    transparent: Option<u8>,
}

/// Counts frames from `at` on, and stops at `max` + 1. In a truncated file, the frames before the cut count.
fn count_frames(file: &[u8], mut at: usize, max: u32) -> FrameCount {
    let mut frames = FrameCount::default();
    while frames.count <= max {
        match file.get(at) {
            Some(0x21) => {
                // A graphic control extension applies to the frame that follows.
                if let (None, Some(&[0xF9, 4, flags, _, _, index])) =
                    (frames.first_descriptor, file.get(at + 1..).and_then(<[u8]>::first_chunk))
                {
                    frames.transparent = (flags & 1 != 0).then_some(index);
                }
                at += 2;
            }
            Some(0x2C) => {
                let Some(flags) = file.get(at + 9) else { break };
                frames.first_descriptor.get_or_insert(at + 1);
                // Position, size and flags, then the table, then one byte with the code size.
                at += 10 + colour_table_bytes(*flags) + 1;
                frames.count += 1;
            }
            _ => break,
        }
        // Sub-blocks, up to the empty one.
        while let Some(length) = file.get(at) {
            at += 1 + usize::from(*length);
            if *length == 0 {
                break;
            }
        }
    }
    frames
}
