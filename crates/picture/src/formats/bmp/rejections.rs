//! The rejections of a BMP.

use domain::Media;

use crate::rejection::Rejection;

pub(super) fn broken(why: &'static str) -> Rejection {
    Rejection::broken(Media::Bmp, why)
}

pub(super) fn truncated() -> Rejection {
    broken("it ends too early")
}

pub(super) fn unsupported(what: &'static str) -> Rejection {
    Rejection::Unsupported { media: Some(Media::Bmp), what: what.into(), remedy: Media::Bmp.remedy().into() }
}
