//! The variant that the query and the head ask for: `?size=N`, `space` and `Accept`.

use std::cmp::Ordering;

use axum::http::{HeaderMap, Uri};
use domain::{CropSpace, Media, UnknownValue, VariantName};

use crate::error::ApiError;
use crate::http::accept::Accept;

/// Returns the requested size, or `None` for the picture's own size. Unknown parameters are ignored, because clients
/// add them to avoid caches.
pub(super) fn parse_size(uri: &Uri) -> Result<Option<u32>, ApiError> {
    let query = uri.query().unwrap_or_default();
    let size = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "size");
    let Some((_, size)) = size else { return Ok(None) };
    let digits = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = if digits { size.parse().ok() } else { None };
    match parsed {
        Some(size) if (1..=VariantName::MAX_SIZE).contains(&size) => Ok(Some(size)),
        _ => {
            let largest = VariantName::MAX_SIZE;
            Err(ApiError::malformed(
                "bad_size",
                format!("\"size\" is a whole number from 1 to {largest}, not \"{size:.20}\""),
            ))
        }
    }
}

/// Returns whether the query asks for the whole uncropped picture, rather than for what the crop shows of it
/// (`docs/contracts/dropbox.md`, 3.7).
pub(super) fn wants_whole(uri: &Uri) -> Result<bool, ApiError> {
    let query = uri.query().unwrap_or_default();
    let space = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "space");
    match space.as_ref().map(|(_, space)| space.parse()) {
        None | Some(Ok(CropSpace::Square)) => Ok(false),
        Some(Ok(CropSpace::Picture)) => Ok(true),
        Some(Err(UnknownValue(space))) => Err(ApiError::malformed(
            "bad_query",
            format!("\"space\" is \"square\" or \"picture\", not \"{space:.20}\""),
        )),
    }
}

/// The whole picture of that kind, fitted into a square of that size.
pub(super) fn whole_variant_name(size: Option<u32>, media: Media) -> Result<VariantName, ApiError> {
    let name = match size {
        Some(size) => VariantName::fitting(size, media),
        None => VariantName::full(media),
    };
    name.ok_or_else(|| unsupported(media))
}

/// The variant with that size and kind.
pub(super) fn variant_name(size: Option<u32>, media: Media) -> Result<VariantName, ApiError> {
    let name = match size {
        Some(size) => VariantName::square(size, media),
        None => VariantName::full(media),
    };
    name.ok_or_else(|| unsupported(media))
}

fn unsupported(media: Media) -> ApiError {
    ApiError::Internal(format!("pictures are not served as {}", media.name()))
}

/// Returns PNG or JPEG if the client accepts only one of the two, or prefers one. Otherwise returns
/// the stored kind.
pub(super) fn preferred_media(headers: &HeaderMap, stored: Media) -> Media {
    let accept = Accept::from_headers(headers);
    let png = accept.quality("image/png");
    // Some clients use `image/jpg`, which is not a registered name.
    let jpeg = accept.named_quality("image/jpeg").or_else(|| accept.named_quality("image/jpg"));
    match png.cmp(&jpeg.unwrap_or_else(|| accept.quality("image/jpeg"))) {
        Ordering::Greater => Media::Png,
        Ordering::Less => Media::Jpeg,
        Ordering::Equal => stored,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    #[test]
    fn the_client_gets_the_kind_that_it_prefers() {
        for (accept, expected) in [
            ("image/png", Media::Png),
            ("image/jpeg", Media::Jpeg),
            ("image/avif,image/webp,*/*;q=0.8", Media::Jpeg),
            ("image/png;q=0.5, image/jpeg;q=0.4", Media::Png),
            ("image/png, image/jpeg", Media::Jpeg),
            ("", Media::Jpeg),
            ("image/jpeg;q=0, image/*", Media::Png),
            ("image/jpg;Q=0, */*;q=0.1", Media::Png),
            ("image/png;q=0.5, image/*", Media::Jpeg),
            ("image/png;q=0, image/jpeg;q=0", Media::Jpeg),
            ("image/webp", Media::Jpeg),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(preferred_media(&headers, Media::Jpeg), expected, "{accept}");
        }
    }

    #[test]
    fn the_whole_picture_is_asked_for_by_name() {
        for (uri, expected) in [
            ("/", Some(false)),
            ("/?space=square", Some(false)),
            ("/?size=75&space=picture", Some(true)),
            ("/?space=", None),
            ("/?space=Picture", None),
        ] {
            assert_eq!(wants_whole(&uri.parse().unwrap()).ok(), expected, "{uri}");
        }
    }

    #[test]
    fn a_size_is_a_whole_number_in_range() {
        for (uri, expected) in [
            ("/", Some(None)),
            ("/?s=1416", Some(None)),
            ("/?size=1&cache=false", Some(Some(1))),
            ("/?size=512", Some(Some(512))),
            ("/?size=0", None),
            ("/?size=513", None),
            ("/?size=-1", None),
            ("/?size=abc", None),
            ("/?size=", None),
            ("/?size=+75", None),
            ("/?size=99999999999999999999", None),
        ] {
            assert_eq!(parse_size(&uri.parse().unwrap()).ok(), expected, "{uri}");
        }
    }
}
