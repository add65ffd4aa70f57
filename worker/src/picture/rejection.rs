//! Why a picture was not taken. A rejection is an answer, not a failure of ours: it is written for the person who sent
//! the picture, and every one carries a code that never changes for the programs between.

use std::borrow::Cow;

use upload::Media;

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A kind of file, or a variety of a kind, that this engine does not take.
    #[error("{what} is not supported; {remedy}")]
    Unsupported {
        /// What was recognized, if anything.
        media: Option<Media>,
        /// The same as the beginning of a sentence.
        what: Cow<'static, str>,
        /// What to do instead, as the end of a sentence.
        remedy: &'static str,
    },
    /// The kind is taken, but the bytes are damaged, incomplete or a lie.
    #[error("the {} file is broken: {why}; save it again and send the new file", media.name())]
    Broken {
        /// What it began as.
        media: Media,
        /// What is wrong with it.
        why: Cow<'static, str>,
    },
    /// A number in its header is above a limit.
    #[error("{} is {actual}, the limit is {limit}; {}", excess.name(), excess.remedy())]
    LimitExceeded {
        /// Which number.
        excess: LimitKind,
        /// The most that is taken.
        limit: u64,
        /// What the picture has, or would need.
        actual: u64,
    },
    /// The work was stopped before it was done: the deadline passed or the process is going down. Nothing is known
    /// about the picture.
    #[error("the picture was not finished in time; try again")]
    Cancelled,
}

/// The numbers that [`Rejection::LimitExceeded`] speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// Width × height.
    Pixels,
    /// The longer side.
    Side,
    /// Frames of an animation.
    Frames,
    /// Scans of a progressive JPEG.
    Scans,
    /// Estimated working memory, in bytes.
    Memory,
    /// Size of the colour profile, in bytes.
    Profile,
}

impl LimitKind {
    fn name(self) -> &'static str {
        match self {
            Self::Pixels => "the number of pixels",
            Self::Side => "the longer side in pixels",
            Self::Frames => "the number of frames",
            Self::Scans => "the number of scans",
            Self::Memory => "the memory to decode it in bytes",
            Self::Profile => "the colour profile in bytes",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Pixels | Self::Side | Self::Memory => "scale it down and send it again",
            Self::Frames => "send one frame, or a shorter animation",
            Self::Scans => "save it as an ordinary JPEG",
            Self::Profile => "convert it to sRGB",
        }
    }
}

impl Rejection {
    /// The stable name of the reason, for answers, metrics and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "unsupported_type",
            Self::Broken { .. } => "broken_picture",
            Self::LimitExceeded { excess, .. } => match excess {
                LimitKind::Pixels => "too_many_pixels",
                LimitKind::Side => "side_too_long",
                LimitKind::Frames => "too_many_frames",
                LimitKind::Scans => "too_many_scans",
                LimitKind::Memory => "too_much_memory",
                LimitKind::Profile => "profile_too_large",
            },
            Self::Cancelled => "stopped",
        }
    }

    /// Whether the same bytes may well pass at another time. True only of [`Rejection::Cancelled`].
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    pub(super) fn broken(media: Media, why: impl Into<Cow<'static, str>>) -> Self {
        Self::Broken { media, why: why.into() }
    }

    /// A decoder panicked over `file`.
    pub(crate) fn decoder_panicked(file: &[u8]) -> Self {
        Self::broken(Media::sniff(file).unwrap_or(Media::Jpeg), "the decoder gave up on it")
    }

    /// `actual` of `excess` is checked against `limit`.
    pub(crate) fn check_limit(excess: LimitKind, actual: u64, limit: u64) -> Result<(), Self> {
        if actual > limit { Err(Self::LimitExceeded { excess, limit, actual }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_reads_as_a_sentence() {
        let rejection = Rejection::check_limit(LimitKind::Side, 70_000, 30_000).unwrap_err();
        assert_eq!(
            rejection.to_string(),
            "the longer side in pixels is 70000, the limit is 30000; scale it down and send it again"
        );
        assert_eq!(rejection.code(), "side_too_long");
        assert_eq!(
            Rejection::broken(Media::Png, "it ends too early").to_string(),
            "the PNG file is broken: it ends too early; save it again and send the new file"
        );
    }
}
