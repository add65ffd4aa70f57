//! Parameters in paths and queries that several operations share, as the OpenAPI document describes them.

#![expect(dead_code, reason = "describes parameters that handlers parse")]

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::dropbox::crop_fields::CropSpaceName;

/// The kind of a resource
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ServiceName {
    Users,
    Apps,
    Apis,
    Groups,
    Businesses,
}

/// The path of a resource.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ResourcePath {
    /// The kind of the resource
    #[param(inline)]
    service: ServiceName,
    /// `<unique>.<federation member>`. The unique part has 1 to 128 letters, digits, `-`, `_`, `.` or `~`
    #[param(min_length = 3, max_length = 193, example = "jane.acme")]
    id: String,
}

/// The path of a picture or of another upload.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct PicturePath {
    /// The PictureID
    #[param(minimum = 1001, maximum = 9007199254740991_i64, example = 1001)]
    id: i64,
}

/// The path of a registered file.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct RegisteredFilePath {
    /// The id of the file
    #[param(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$", example = "D1A2B3C4")]
    id: String,
}

/// A user in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct UserPath {
    /// The id of the user, with or without the federation member
    #[param(min_length = 1, example = "jane")]
    user: String,
}

/// The size of a picture.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SizeQuery {
    /// The side of a square, in pixels. The default for a picture is its own size, and for an avatar 512
    #[param(minimum = 1, maximum = 512, nullable = false)]
    size: Option<u32>,
}

/// What of a picture is shown.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SpaceQuery {
    /// `square` shows what the crop selects. `picture` shows the whole uncropped picture, with `size` fitted into a square
    /// of that size and never scaled up
    #[param(nullable = false)]
    space: Option<CropSpaceName>,
}
