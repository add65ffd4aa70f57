//! What the errors of the third-party codecs mean for a picture: one table for each codec. Their own texts are for
//! programmers, so they go into the log at most and never to a client.

use std::io;

use domain::Media;
use image::error::{ImageError, LimitErrorKind};
use image_webp::DecodingError as WebPError;
use png::DecodingError as PngError;

use crate::limits::Limits;
use crate::rejection::{LimitKind, Rejection};

pub(super) fn png(error: &PngError, limits: &Limits) -> Rejection {
    let broken = |why: &'static str| Rejection::broken(Media::Png, why);
    match error {
        PngError::IoError(error) => read_error(Media::Png, error),
        PngError::Format(detail) => {
            // The crate has no public list of its reasons, only their texts.
            let detail = detail.to_string();
            match detail {
                detail if detail.contains("CRC") => broken("a checksum is wrong"),
                detail if detail.contains("deflate") => broken("its compressed pixels are damaged"),
                detail if detail.contains("palette") => broken("its colour table is missing or too short"),
                _ => broken("its parts are invalid or in the wrong order"),
            }
        }
        PngError::LimitsExceeded => too_much_memory(limits),
        PngError::Parameter(error) => Rejection::engine_failed(format!("the PNG decoder was called wrongly: {error}")),
    }
}

pub(super) fn bmp(error: &ImageError, limits: &Limits) -> Rejection {
    let broken = |why: &'static str| Rejection::broken(Media::Bmp, why);
    match error {
        ImageError::IoError(error) => read_error(Media::Bmp, error),
        ImageError::Decoding(_) => broken("its header or its compressed pixels are damaged"),
        ImageError::Unsupported(_) => broken("its pixels are stored in a way that is not supported"),
        ImageError::Limits(error) => match error.kind() {
            LimitErrorKind::InsufficientMemory => too_much_memory(limits),
            _ => broken("its width or height is too large"),
        },
        ImageError::Encoding(_) | ImageError::Parameter(_) => {
            Rejection::engine_failed(format!("the BMP decoder was called wrongly: {error}"))
        }
    }
}

pub(super) fn webp(error: &WebPError, limits: &Limits) -> Rejection {
    Rejection::broken(
        Media::WebP,
        match error {
            WebPError::IoError(error) => return read_error(Media::WebP, error),
            WebPError::MemoryLimitExceeded => return too_much_memory(limits),
            WebPError::InvalidParameter(_) => {
                return Rejection::engine_failed(format!("the WebP decoder was called wrongly: {error}"));
            }
            WebPError::NotEnoughInitData => "it ends too early",
            WebPError::ChunkMissing | WebPError::NoMoreFrames => "its pixels are missing",
            WebPError::ImageTooLarge => "its width times its height is too large",
            WebPError::FrameOutsideImage => "its first frame is larger than its canvas",
            WebPError::AlphaChunkSizeMismatch | WebPError::InconsistentImageSizes => "its parts have different sizes",
            WebPError::UnsupportedFeature(_) | WebPError::VersionNumberInvalid(_) | WebPError::ColorSpaceInvalid(_) => {
                "its pixels are stored in a way that is not supported"
            }
            WebPError::RiffSignatureInvalid(_)
            | WebPError::WebpSignatureInvalid(_)
            | WebPError::ChunkHeaderInvalid(_)
            | WebPError::InvalidChunkSize
            | WebPError::LosslessSignatureInvalid(_)
            | WebPError::Vp8MagicInvalid(_) => "its header is damaged",
            _ => "its compressed pixels are damaged",
        },
    )
}

/// The file is in memory, so reading fails only at its end or if a position in it is wrong.
fn read_error(media: Media, error: &io::Error) -> Rejection {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Rejection::broken(media, "it ends too early"),
        _ => Rejection::broken(media, "its parts are not at the positions that its header names"),
    }
}

/// The decoders do not say how much memory they would need.
fn too_much_memory(limits: &Limits) -> Rejection {
    let limit = limits.max_memory;
    Rejection::LimitExceeded { excess: LimitKind::Memory, limit, actual: limit.saturating_add(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_codecs_do_not_reach_the_sender() {
        let limits = Limits::default();
        let early = || io::Error::from(io::ErrorKind::UnexpectedEof);
        for (rejection, says) in [
            (png(&PngError::IoError(early()), &limits), "The PNG file is broken: it ends too early."),
            (png(&PngError::LimitsExceeded, &limits), "more memory than the limit of 384 MiB"),
            (webp(&WebPError::IoError(early()), &limits), "The WebP file is broken: it ends too early."),
            (webp(&WebPError::BitStreamError, &limits), "its compressed pixels are damaged"),
            (webp(&WebPError::MemoryLimitExceeded, &limits), "more memory than the limit of 384 MiB"),
            (bmp(&ImageError::IoError(early()), &limits), "The BMP file is broken: it ends too early."),
        ] {
            assert!(rejection.to_string().contains(says), "{rejection}");
        }
        let bug = webp(&WebPError::InvalidParameter("Background color".to_owned()), &limits);
        assert!(matches!(bug, Rejection::EngineFailed { .. }) && !bug.to_string().contains("Background"), "{bug}");
    }
}
