//! Finds the first frame of a GIF and counts the frames, without decoding any.
//!
//! Rule: GIF89a, sections 17 to 27.

/// The size in bytes of the colour table that `flags` announce. The flags are those of the screen
/// or of a frame.
pub(super) fn colour_table_bytes(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// The frames of a file.
#[derive(Default)]
pub(super) struct FrameList {
    pub(super) count: u32,
    /// The position of the first frame's descriptor, after its introducer byte.
    pub(super) first_descriptor: Option<usize>,
    /// The index of transparent pixels in the first frame.
    pub(super) transparent: Option<u8>,
}

/// Counts frames from `at` on, and stops at `max` + 1. In a truncated file, the frames before the cut count.
pub(super) fn list_frames(file: &[u8], mut at: usize, max: u32) -> FrameList {
    let mut frames = FrameList::default();
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
        // Skips the sub-blocks, up to and including the empty one.
        while let Some(length) = file.get(at) {
            at += 1 + usize::from(*length);
            if *length == 0 {
                break;
            }
        }
    }
    frames
}
