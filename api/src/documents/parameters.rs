//! Parameters and request bodies of the documents API, as the OpenAPI document describes them. `request`,
//! `json_params` and `upload_form` read them.

#![expect(dead_code, reason = "describes what other modules read")]

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::response_bodies::LinkRole;

/// A version of this API
#[derive(Deserialize, ToSchema)]
enum ApiVersion {
    #[serde(rename = "1.1")]
    V1_1,
    #[serde(rename = "1.2")]
    V1_2,
}

/// The start of every path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct VersionPath {
    /// The version of this API. The versions differ in the characters that names of renditions may have
    #[param(inline)]
    version: ApiVersion,
}

/// The path of a file.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct FilePath {
    /// The version of this API. The versions differ in the characters that names of renditions may have
    #[param(inline)]
    version: ApiVersion,
    /// The id of the file
    #[param(max_length = 64, pattern = "^[A-Za-z0-9_-]+$", example = "D1A2B3C4")]
    id: String,
}

/// The path of a link.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct LinkPath {
    /// The version of this API. The versions differ in the characters that names of renditions may have
    #[param(inline)]
    version: ApiVersion,
    /// The id of the link
    #[param(example = "LhYd2kq0Qb7xJm")]
    id: String,
}

/// A version of a file.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct VersionQuery {
    /// The number of the version. The default is the latest version
    #[param(minimum = 1, maximum = 2147483647, nullable = false)]
    version: Option<u32>,
}

/// Whether a rendition is rendered by Cloakroom or uploaded by a user
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RequestedType {
    System,
    Uploaded,
}

/// Which kind of renditions is meant.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RenditionTypeQuery {
    /// `system` (the default): rendered by Cloakroom. `uploaded`: custom renditions
    #[param(rename = "renditionType", inline, nullable = false)]
    rendition_type: Option<RequestedType>,
}

/// The name of a rendition.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RenditionQuery {
    /// The name of the rendition, in any case
    #[param(min_length = 1, example = "thumbnail1")]
    rendition: String,
}

/// Headers that select which bytes are sent.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct RangeHeaders {
    /// The range of bytes to send (RFC 9110), such as `bytes=0-499`. Up to 8 ranges, with commas between them
    #[param(rename = "Range", nullable = false)]
    range: Option<String>,
    /// ETags with commas between them. The content is sent only if it has one of them
    #[param(rename = "If-Match", nullable = false)]
    if_match: Option<String>,
    /// ETags with commas between them. If the content has one of them, the response is 304
    #[param(rename = "If-None-Match", nullable = false)]
    if_none_match: Option<String>,
    /// An ETag. If the content has another one, `Range` is ignored. A date never matches
    #[param(rename = "If-Range", nullable = false)]
    if_range: Option<String>,
}

/// The part of a form with the name and the description of a rendition.
#[derive(ToSchema)]
pub(super) struct RenditionParameters {
    /// In version 1.2 only ASCII letters, digits, hyphens and underscores
    #[schema(min_length = 1, max_length = 28, example = "small")]
    name: String,
    #[schema(max_length = 1000, nullable = false)]
    description: Option<String>,
}

/// A rendition and its parameters, in any order.
#[derive(ToSchema)]
pub(super) struct RenditionForm {
    /// Any content, at least 1 byte. The content decides the type, not the header of the part
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
    /// JSON. Required unless `parameters` is sent, over which it takes precedence
    #[schema(rename = "jsonInputParameters", nullable = false)]
    json_input_parameters: Option<RenditionParameters>,
    /// Another name of `jsonInputParameters`
    #[schema(nullable = false)]
    parameters: Option<RenditionParameters>,
}

/// A file and its parameters, in any order.
#[derive(ToSchema)]
pub(super) struct FileForm {
    /// Any content, at least 1 byte. The content decides the type, not the header of the part
    #[schema(rename = "primaryFile", value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
    /// A JSON object, which may be left out. Nothing of it is used
    #[schema(rename = "jsonInputParameters", nullable = false, value_type = Object)]
    json_input_parameters: Option<String>,
    /// Another name of `jsonInputParameters`
    #[schema(nullable = false, value_type = Object)]
    parameters: Option<String>,
}

/// An applink to create.
#[derive(ToSchema)]
#[schema(example = json!({"assignedUser": "@everybody", "role": "viewer"}))]
pub(super) struct ApplinkForm {
    /// The id of a user, `@serviceinstance` or `@everybody`
    #[schema(rename = "assignedUser", min_length = 1)]
    assigned_user: String,
    /// The default is `viewer`
    role: Option<LinkRole>,
}

/// Users, as a list or as one text with commas
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum AssignedUsers {
    Text(String),
    List(Vec<String>),
}

/// A public link to create.
#[derive(ToSchema)]
#[schema(example = json!({"assignedUsers": "@everybody", "role": "downloader", "password": "correct horse",
                          "expirationTime": "2099-12-31T23:59:59Z", "linkName": "for review"}))]
pub(super) struct PublicLinkForm {
    /// `@everybody`, `@serviceinstance` (all users who are logged in), or at most 100 ids of users
    #[schema(rename = "assignedUsers")]
    assigned_users: AssignedUsers,
    /// The default is `viewer`
    role: Option<LinkRole>,
    /// The access code of the link. No response contains it
    #[schema(min_length = 8, max_length = 50)]
    password: Option<String>,
    /// The default is that the link does not expire
    #[schema(rename = "expirationTime", format = DateTime)]
    expiration_time: Option<String>,
    #[schema(rename = "linkName", max_length = 256)]
    link_name: Option<String>,
}
