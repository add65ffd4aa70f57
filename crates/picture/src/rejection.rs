//! Reasons for the rejection of a picture. A rejection is an answer and not an internal failure. Its text is written
//! for the sender of the picture. Its code is for programs and never changes.

use std::borrow::Cow;

use domain::Media;

/// The reason why a picture is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A format, or a variant of a format, that this engine does not accept.
    #[error("{what} is not supported; {remedy}")]
    Unsupported {
        /// The recognized format, if any.
        media: Option<Media>,
        /// The rejected format, as the beginning of a sentence.
        what: Cow<'static, str>,
        /// The remedy, as the end of a sentence.
        remedy: &'static str,
    },
    /// The format is accepted, but the bytes are damaged, incomplete or contradictory.
    #[error("the {} file is broken: {why}; save it again and send the new file", media.name())]
    Broken {
        /// The format that the file begins with.
        media: Media,
        /// What is wrong with it.
        why: Cow<'static, str>,
    },
    /// A number in the file's headers is above a limit.
    #[error("{} is {actual}, the limit is {limit}; {}", excess.name(), excess.remedy())]
    LimitExceeded {
        /// The limit that is exceeded.
        excess: LimitKind,
        /// The highest accepted value.
        limit: u64,
        /// The value that the picture has, or would need.
        actual: u64,
    },
    /// The work was stopped before it was done, because the deadline passed or the process ends. This says nothing
    /// about the picture.
    #[error("the picture was not finished in time; try again")]
    Cancelled,
}

/// The limits that [`Rejection::LimitExceeded`] names.
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
    /// The stable code of the reason, for answers, metrics and tests.
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

    /// Whether the same bytes may be accepted at another time. True only of [`Rejection::Cancelled`].
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    pub(crate) fn broken(media: Media, why: impl Into<Cow<'static, str>>) -> Self {
        Self::Broken { media, why: why.into() }
    }

    /// The rejection for a `file` on which a decoder panicked.
    pub fn decoder_panicked(file: &[u8]) -> Self {
        Self::broken(Media::sniff(file).unwrap_or(Media::Jpeg), "the decoder gave up on it")
    }

    /// Checks that `actual` of `excess` is not above `limit`.
    ///
    /// # Errors
    /// [`Rejection::LimitExceeded`] if it is.
    pub fn check_limit(excess: LimitKind, actual: u64, limit: u64) -> Result<(), Self> {
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
