//! GIF: the canvas, and how many frames follow, without decoding one.

use upload::Media;

use super::{Detail, Probe};
use crate::picture::{Limits, Rejection};

pub(super) fn probe(file: &[u8], limits: &Limits) -> Result<Probe, Rejection> {
    let early = || Rejection::broken(Media::Gif, "it ends too early");
    let &[w0, w1, h0, h1, flags, _, _] = file.get(6..).and_then(<[u8]>::first_chunk).ok_or_else(early)?;
    let stored = (u32::from(u16::from_le_bytes([w0, w1])), u32::from(u16::from_le_bytes([h0, h1])));
    let mut probe = Probe::new(Media::Gif, stored, Detail::Gif);
    // The first frame may leave parts of the canvas out: those are transparent.
    probe.alpha = true;
    probe.frames = frames(file, 13 + colours(flags), limits.max_frames);
    if probe.frames == 0 {
        return Err(early());
    }
    Ok(probe)
}

/// Bytes of the colour table that `flags` announce.
fn colours(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Frames from `at` on, counted no further than one beyond `most`. A file that is cut off has those before the cut.
fn frames(file: &[u8], mut at: usize, most: u32) -> u32 {
    let mut frames = 0;
    while frames <= most {
        match file.get(at) {
            Some(0x21) => at += 2,
            Some(0x2C) => {
                let Some(flags) = file.get(at + 9) else { break };
                // Position, size and flags, then the table, then one byte of code size.
                at += 10 + colours(*flags) + 1;
                frames += 1;
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
