//! Parameters and bodies of the documents API for the OpenAPI document. The responses themselves are built by
//! `response_format` and `error`.

#![expect(dead_code, reason = "describes parameters, forms and answers for programs")]

use serde::Serialize;
use utoipa::{IntoParams, IntoResponses, ToSchema};

use crate::openapi::binary::Binary;

/// The start of every path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct VersionPath {
    /// 1.1 or 1.2; they differ in what a rendition may be called
    version: String,
}

/// The path of a file.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct FilePath {
    /// 1.1 or 1.2; they differ in what a rendition may be called
    version: String,
    /// The file's id
    id: String,
}

/// A version of a file.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct VersionQuery {
    /// A version of the file; the latest without it
    version: Option<u32>,
}

/// The range of bytes to send.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct RangeHeaders {
    /// bytes=<first>-<last>, several with commas between (RFC 9110)
    #[param(rename = "Range")]
    range: Option<String>,
    /// Tags with commas between: only what has one of them is sent
    #[param(rename = "If-Match")]
    if_match: Option<String>,
}

/// How long to wait for the outcome.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct PreferHeader {
    /// wait=<seconds>, respond-async (RFC 7240)
    #[param(rename = "Prefer")]
    prefer: Option<String>,
}

/// The header that makes a request safe to repeat.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct IdempotencyKeyHeader {
    /// The same key with the same content gets the first answer again for 24 hours
    #[param(rename = "Idempotency-Key")]
    key: Option<String>,
}

/// The stored bytes, unchanged.
#[derive(IntoResponses)]
pub(super) enum FileContentResponses {
    /// The bytes, as an attachment
    #[response(status = 200, content_type = "application/octet-stream")]
    Whole(#[to_schema] Binary),
    /// Those that Range asks for
    #[response(status = 206, content_type = "application/octet-stream")]
    Part(#[to_schema] Binary),
    /// The client has them
    #[response(status = 304)]
    There,
    /// The bytes are not those that If-Match names: -1
    #[response(status = 412)]
    Changed(DocumentErrorBody),
    /// Range asks for bytes that are not there
    #[response(status = 416)]
    Beyond,
}

/// Why a call was not done.
#[derive(Serialize, ToSchema)]
pub(super) struct DocumentErrorBody {
    /// -1, -16, -17, -18, -20, -26 or -97
    #[serde(rename = "errorCode")]
    error_code: String,
    /// For programs: keys begin with an exclamation mark, their values with a comma
    #[serde(rename = "errorKey")]
    error_key: String,
    /// For a person
    #[serde(rename = "errorMessage")]
    error_message: String,
    /// What the call was about: file, applink or publiclink
    #[serde(rename = "errorType")]
    error_type: String,
    /// The file's id, where there is one
    id: Option<String>,
    /// The same as errorMessage
    title: String,
    /// Where statuses are explained
    #[serde(rename = "type")]
    kind: String,
}

/// The errors of any operation, in JSON or XML as the client prefers.
#[derive(IntoResponses)]
pub(super) enum DocumentErrors {
    /// A name, a parameter, the form or a link is not valid: -97, -1, -26
    #[response(status = 400)]
    Bad(DocumentErrorBody),
    /// Nobody is logged in, or the CSRF token is missing: -1
    #[response(status = 401)]
    NotLoggedIn(DocumentErrorBody),
    /// The role is too low (-20), or the link's access code is missing or wrong (-18)
    #[response(status = 403)]
    Forbidden(DocumentErrorBody),
    /// There is no such file, version, rendition or link: -16
    #[response(status = 404)]
    NotFound(DocumentErrorBody),
    /// Too many requests, or too many access codes tried; see Retry-After: -1
    #[response(status = 429)]
    TooMany(DocumentErrorBody),
    /// Not ready yet, or overloaded; see Retry-After: -1
    #[response(status = 503)]
    Busy(DocumentErrorBody),
}

/// The additional errors of an upload.
#[derive(IntoResponses)]
pub(super) enum DocumentUploadErrors {
    /// The body came too slowly: -1
    #[response(status = 408)]
    TooSlow(DocumentErrorBody),
    /// The name is taken (-17), the version is full, or the same Idempotency-Key is in flight (-1)
    #[response(status = 409)]
    Conflict(DocumentErrorBody),
    /// Too large: -1
    #[response(status = 413)]
    TooLarge(DocumentErrorBody),
    /// The Idempotency-Key was used for another request: -1
    #[response(status = 422)]
    OtherContent(DocumentErrorBody),
}

/// It was done.
#[derive(Serialize, ToSchema)]
pub(super) struct SuccessBody {
    /// 0
    #[serde(rename = "errorCode")]
    error_code: String,
    id: String,
    /// file, applink or publiclink
    #[serde(rename = "type")]
    kind: String,
}

/// A rendition and its parameters, in any order.
#[derive(ToSchema)]
pub(super) struct RenditionForm {
    /// Any content; its declared type is not believed
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
    /// JSON: name (at most 28 characters) and description (at most 1000). A part called parameters is taken as well
    #[schema(rename = "jsonInputParameters")]
    parameters: String,
}

/// A file.
#[derive(ToSchema)]
pub(super) struct FileForm {
    /// JSON; may be left out
    #[schema(rename = "jsonInputParameters")]
    parameters: Option<String>,
    #[schema(rename = "primaryFile", value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
}

/// A person.
#[derive(Serialize, ToSchema)]
pub(super) struct Person {
    #[serde(rename = "displayName")]
    display_name: String,
    id: String,
    #[serde(rename = "type")]
    kind: String,
}

/// What is known of a version of a file. Numbers are texts, times YYYY-MM-DDThh:mm:ssZ.
#[derive(Serialize, ToSchema)]
pub(super) struct FileInformation {
    #[serde(rename = "errorCode")]
    error_code: String,
    id: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    version: String,
    #[serde(rename = "createdBy")]
    created_by: Person,
    #[serde(rename = "createdTime")]
    created_time: String,
    #[serde(rename = "modifiedBy")]
    modified_by: Person,
    #[serde(rename = "modifiedTime")]
    modified_time: String,
    #[serde(rename = "ownedBy")]
    owned_by: Person,
    /// Left out where the bytes live in another system
    size: Option<String>,
    #[serde(rename = "mimeType")]
    mime_type: Option<String>,
    /// With includeRenditions=true
    renditions: Option<Vec<RenditionInformation>>,
}

/// What is known of a rendition.
#[derive(Serialize, ToSchema)]
pub(super) struct RenditionInformation {
    /// rendition
    #[serde(rename = "type")]
    kind: String,
    name: String,
    description: String,
    /// The name with the extension of the uploaded file
    path: String,
    /// system or uploaded; with includeRenditions=true
    #[serde(rename = "renditionType")]
    rendition_type: Option<String>,
    /// With includeRenditions=true
    exists: Option<bool>,
}

/// Renditions of a version.
#[derive(Serialize, ToSchema)]
pub(super) struct RenditionList {
    #[serde(rename = "errorCode")]
    error_code: String,
    id: String,
    #[serde(rename = "type")]
    kind: String,
    items: Vec<RenditionInformation>,
}

/// Versions of a file.
#[derive(Serialize, ToSchema)]
pub(super) struct VersionList {
    #[serde(rename = "errorCode")]
    error_code: String,
    id: String,
    #[serde(rename = "type")]
    kind: String,
    count: String,
    items: Vec<FileInformation>,
}

/// An applink to be.
#[derive(ToSchema)]
pub(super) struct ApplinkForm {
    /// A user, @serviceinstance or @everybody
    #[schema(rename = "assignedUser")]
    assigned_user: String,
    /// viewer (by default), downloader or contributor
    role: Option<String>,
}

/// An applink. Its id and access token are the credential.
#[derive(Serialize, ToSchema)]
pub(super) struct ApplinkCreated {
    #[serde(rename = "appLinkID")]
    app_link_id: String,
    /// Good for 15 minutes
    #[serde(rename = "accessToken")]
    access_token: String,
    #[serde(rename = "appLinkUrl")]
    app_link_url: String,
    /// Good for 24 hours
    #[serde(rename = "refreshToken")]
    refresh_token: String,
    role: String,
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "errorCode")]
    error_code: String,
}

/// A new access token.
#[derive(Serialize, ToSchema)]
pub(super) struct AccessTokenCreated {
    #[serde(rename = "accessToken")]
    access_token: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "errorCode")]
    error_code: String,
}

/// A public link to be.
#[derive(ToSchema)]
pub(super) struct PublicLinkForm {
    /// @everybody, @serviceinstance (anybody who is logged in), or users with commas between
    #[schema(rename = "assignedUsers")]
    assigned_users: String,
    /// viewer (by default), downloader or contributor
    role: Option<String>,
    /// 8 to 50 characters; never given back
    password: Option<String>,
    /// YYYY-MM-DDThh:mm:ssZ
    #[schema(rename = "expirationTime")]
    expiration_time: Option<String>,
    #[schema(rename = "linkName")]
    link_name: Option<String>,
}

/// What is known of a public link.
#[derive(Serialize, ToSchema)]
pub(super) struct PublicLinkInformation {
    #[serde(rename = "errorCode")]
    error_code: String,
    #[serde(rename = "linkID")]
    link_id: String,
    #[serde(rename = "linkName")]
    link_name: String,
    id: String,
    #[serde(rename = "type")]
    kind: String,
    role: String,
    #[serde(rename = "assignedUsers")]
    assigned_users: String,
    #[serde(rename = "createdBy")]
    created_by: Person,
    #[serde(rename = "createdTime")]
    created_time: String,
    #[serde(rename = "expirationTime")]
    expiration_time: Option<String>,
}

/// Public links of a file.
#[derive(Serialize, ToSchema)]
pub(super) struct PublicLinkList {
    #[serde(rename = "errorCode")]
    error_code: String,
    id: String,
    #[serde(rename = "type")]
    kind: String,
    count: String,
    items: Vec<PublicLinkInformation>,
}
