//! Why a picture was not rendered. Almost always the reason is a rejection: an answer to the sender
//! of the picture, and not an internal failure. The text is written for the sender. The code is for
//! programs and never changes.
//!
//! Two variants say nothing about the picture: [`Rejection::Cancelled`] and [`Rejection::EngineFailed`]. A caller must not
//! reject an upload because of them.

use std::any::Any;
use std::borrow::Cow;

use domain::{Media, ReasonCode};

/// The reason why a picture was not rendered: a rejection or a failure, in the words of the vocabulary
/// (`docs/architecture.md`).
///
/// [`Rejection::Cancelled`] and [`Rejection::EngineFailed`] are failures: Cloakroom caused them, not the picture. All
/// other variants are rejections.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A format, or a variant of a format, that this engine does not accept.
    #[error("{what} is not supported; {remedy}.")]
    Unsupported {
        /// The recognized format, if any.
        media: Option<Media>,
        /// The rejected format, as the beginning of a sentence.
        what: Cow<'static, str>,
        /// The remedy, as the end of a sentence.
        remedy: Cow<'static, str>,
    },
    /// The format is accepted, but the bytes are damaged, incomplete or contradictory.
    #[error("The {} file is broken: {why}. Save it again and upload the new file.", media.name())]
    Broken {
        /// The format that the file begins with.
        media: Media,
        /// What is wrong with it.
        why: Cow<'static, str>,
    },
    /// A number in the file's headers is above a limit.
    #[error("{}", describe_limit(*excess, *limit, *actual))]
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
    #[error("The picture was not rendered in time. Try again later.")]
    Cancelled,
    /// This program failed: a codec panicked or was called wrongly, or memory ran out. This says nothing about the
    /// picture.
    #[error("The server failed to render the picture. The file itself may be correct.")]
    EngineFailed {
        /// What failed, for the log. It is never shown to a client, and so it is no part of the message.
        detail: String,
    },
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

/// Says what exceeds which limit, and what the sender can do.
fn describe_limit(excess: LimitKind, limit: u64, actual: u64) -> String {
    match excess {
        LimitKind::Pixels => {
            format!("The picture has {actual} pixels; the limit is {limit} pixels. Scale it down and upload it again.")
        }
        LimitKind::Side => format!(
            "The longer side of the picture has {actual} pixels; the limit is {limit} pixels. Scale it down and upload it \
             again."
        ),
        LimitKind::Frames => format!(
            "The animation has {actual} frames; the limit is {limit} frames. Upload one frame, or a shorter animation."
        ),
        LimitKind::Scans => {
            format!("The JPEG file has {actual} scans; the limit is {limit} scans. Save it as a baseline JPEG.")
        }
        LimitKind::Memory => format!(
            "Rendering the picture needs more memory than the limit of {}. Scale it down and upload it again.",
            format_bytes(limit)
        ),
        LimitKind::Profile => format!(
            "The colour profile of the picture is larger than the limit of {}. Convert the picture to sRGB and upload it \
             again.",
            format_bytes(limit)
        ),
    }
}

/// Formats a limit, which usually is a whole number of MiB or KiB.
fn format_bytes(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        bytes if bytes >= 1 << 10 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} bytes"),
    }
}

impl Rejection {
    /// The stable code of the reason, for answers, metrics and tests.
    pub fn code(&self) -> ReasonCode {
        match self {
            Self::Unsupported { .. } => ReasonCode::UnsupportedType,
            Self::Broken { .. } => ReasonCode::BrokenPicture,
            Self::LimitExceeded { excess, .. } => match excess {
                LimitKind::Pixels => ReasonCode::TooManyPixels,
                LimitKind::Side => ReasonCode::SideTooLong,
                LimitKind::Frames => ReasonCode::TooManyFrames,
                LimitKind::Scans => ReasonCode::TooManyScans,
                LimitKind::Memory => ReasonCode::TooMuchMemory,
                LimitKind::Profile => ReasonCode::ProfileTooLarge,
            },
            Self::Cancelled => ReasonCode::Stopped,
            Self::EngineFailed { .. } => ReasonCode::EngineFailed,
        }
    }

    /// Whether this says nothing about the picture, so that the same bytes may be accepted at another time.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Cancelled | Self::EngineFailed { .. })
    }

    pub(crate) fn broken(media: Media, why: impl Into<Cow<'static, str>>) -> Self {
        Self::Broken { media, why: why.into() }
    }

    pub(super) fn engine_failed(detail: impl Into<String>) -> Self {
        Self::EngineFailed { detail: detail.into() }
    }

    pub(super) fn out_of_memory(bytes: usize) -> Self {
        Self::engine_failed(format!("{bytes} bytes of memory could not be allocated"))
    }

    /// The failure of a codec that panicked with this payload.
    pub fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let message = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        Self::engine_failed(format!("a codec panicked: {}", message.unwrap_or("without a message")))
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
            "The longer side of the picture has 70000 pixels; the limit is 30000 pixels. Scale it down and upload it again."
        );
        assert_eq!(rejection.code().as_str(), "side_too_long");
        assert_eq!(
            Rejection::broken(Media::Png, "it ends too early").to_string(),
            "The PNG file is broken: it ends too early. Save it again and upload the new file."
        );
        let rejection = Rejection::check_limit(LimitKind::Memory, 1 << 40, 384 << 20).unwrap_err();
        assert_eq!(
            rejection.to_string(),
            "Rendering the picture needs more memory than the limit of 384 MiB. Scale it down and upload it again."
        );
    }

    #[test]
    fn the_message_of_a_panic_is_not_shown_to_the_sender() {
        for failure in [
            crate::decode::catch_panic::<()>(|| panic!("index 7 of 3")),
            crate::decode::catch_panic::<()>(|| panic!("index {} of 3", 7)),
        ] {
            let failure = failure.unwrap_err();
            assert_eq!(failure, Rejection::engine_failed("a codec panicked: index 7 of 3"));
            assert!(failure.is_transient() && !failure.to_string().contains("index"), "{failure}");
            assert_eq!(failure.code().as_str(), "engine_failed");
        }
    }
}
