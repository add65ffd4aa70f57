//! Responses with stored content in the OpenAPI document: pictures and files, with their media types and headers.

use std::collections::BTreeMap;

use domain::Media;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{ContentBuilder, ObjectBuilder, RefOr, Response, ResponseBuilder, SchemaFormat, Type};
use utoipa::{IntoResponses, PartialSchema};

use super::binary::Binary;

/// The types in which pictures are served.
const PICTURE_TYPES: [Media; 2] = [Media::Png, Media::Jpeg];

const ETAG: (&str, &str) = ("ETag", "The SHA-256 digest of the content, in quotes");
const LAST_MODIFIED: (&str, &str) = ("Last-Modified", "When the content was last changed, if that is known");
const CACHE_CONTROL: (&str, &str) = ("Cache-Control", "How the content may be cached");
const LOCATION: (&str, &str) = ("Location", "A signed URL of the blob store, valid for a limited time");
const DISPOSITION: (&str, &str) = ("Content-Disposition", "`attachment` with the file name");
const ACCEPT_RANGES: (&str, &str) = ("Accept-Ranges", "`bytes`");
const CONTENT_RANGE: (&str, &str) = ("Content-Range", "Which bytes of the content these are, and its length");
const VARY: (&str, &str) = ("Vary", "`Accept, Cookie, Authorization`");

/// A picture at its own size or in a square, as PNG or JPEG. Only its uploader and site
/// administrators may see it.
pub(crate) struct PictureContent;

impl IntoResponses for PictureContent {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        picture_responses("The picture", &PICTURE_TYPES, &[ETAG, LAST_MODIFIED, CACHE_CONTROL, VARY])
    }
}

/// An avatar as PNG. It is public.
pub(crate) struct AvatarContent;

impl IntoResponses for AvatarContent {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        picture_responses("The avatar, or the default avatar", &[Media::Png], &[ETAG, LAST_MODIFIED, CACHE_CONTROL])
    }
}

/// The thumbnail of a file, as PNG or JPEG.
pub(crate) struct ThumbnailContent;

impl IntoResponses for ThumbnailContent {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        picture_responses("The thumbnail", &PICTURE_TYPES, &[ETAG, LAST_MODIFIED, CACHE_CONTROL])
    }
}

/// The content of a file or rendition, whole or in part.
pub(crate) struct FileContent;

impl IntoResponses for FileContent {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        // Any content that is of no known type is `application/octet-stream`.
        let known = Media::all().filter(|media| *media != Media::Other);
        let types: Vec<&str> = [Media::Other].into_iter().chain(known).map(Media::mime).collect();
        let parts: Vec<&str> = types.iter().copied().chain(["multipart/byteranges"]).collect();
        let headers = [ETAG, LAST_MODIFIED, CACHE_CONTROL, DISPOSITION, ACCEPT_RANGES];
        let partial = [ETAG, LAST_MODIFIED, CACHE_CONTROL, DISPOSITION, ACCEPT_RANGES, CONTENT_RANGE];
        BTreeMap::from([
            response("200", "The content", &types, &headers),
            response("206", "The requested ranges of the content", &parts, &partial),
            response("304", "The client has the content", &[], &headers),
            response("416", "The content has none of the requested bytes", &[], &partial),
        ])
    }
}

fn picture_responses(
    description: &str,
    media: &[Media],
    headers: &[(&'static str, &'static str)],
) -> BTreeMap<String, RefOr<Response>> {
    let types: Vec<&str> = media.iter().map(|media| media.mime()).collect();
    BTreeMap::from([
        response("200", description, &types, headers),
        response("302", "The picture is at `Location`. Only if `http.presigned_url_lifetime` is set", &[], &[LOCATION]),
        response("304", "The client has the picture", &[], headers),
    ])
}

fn response(
    status: &str,
    description: &str,
    types: &[&str],
    headers: &[(&'static str, &'static str)],
) -> (String, RefOr<Response>) {
    let mut response = ResponseBuilder::new().description(description);
    for media_type in types {
        response = response.content(*media_type, ContentBuilder::new().schema(Some(Binary::schema())).build());
    }
    for (name, about) in headers {
        let mut value = ObjectBuilder::new().schema_type(Type::String);
        if *name == "Location" {
            value = value.format(Some(SchemaFormat::Custom("uri".to_owned())));
        }
        response = response.header(*name, HeaderBuilder::new().schema(Some(value)).description(Some(*about)).build());
    }
    (status.to_owned(), response.build().into())
}
