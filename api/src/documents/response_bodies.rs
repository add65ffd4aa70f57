//! Response bodies of the documents API. Each struct is serialized as JSON and as XML, and describes itself in the
//! OpenAPI document. Numbers are texts in this API, and times have the form `YYYY-MM-DDThh:mm:ssZ`
//! (`docs/contracts/renditions.md`, 3).

use domain::{FileRole, Rendition};
use serde::Serialize;
use utoipa::ToSchema;

/// The kind of object in a response. In XML it is the name of the root element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ItemKind {
    #[default]
    File,
    Applink,
    Publiclink,
}

impl ItemKind {
    /// Returns the name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Applink => "applink",
            Self::Publiclink => "publiclink",
        }
    }
}

/// The error code of a success
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) enum SuccessCode {
    #[serde(rename = "0")]
    Success,
}

/// The error code of an error
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) enum DocumentErrorCode {
    /// Any other error
    #[serde(rename = "-1")]
    Other,
    /// Not found
    #[serde(rename = "-16")]
    NotFound,
    /// The name is taken
    #[serde(rename = "-17")]
    NameTaken,
    /// The access code of a link is missing or wrong
    #[serde(rename = "-18")]
    AccessCodeRequired,
    /// The role is too low
    #[serde(rename = "-20")]
    InsufficientPrivileges,
    /// The link is invalid or has expired
    #[serde(rename = "-26")]
    InvalidLink,
    /// A parameter is missing or invalid
    #[serde(rename = "-97")]
    InvalidParameter,
}

/// An error.
#[derive(Serialize, ToSchema)]
pub(super) struct DocumentErrorBody<'a> {
    #[serde(rename = "errorCode")]
    pub(super) error_code: DocumentErrorCode,
    /// For programs: an exclamation mark and a key, then a comma before each value of the key
    #[serde(rename = "errorKey")]
    #[schema(example = "!csFileNotFound")]
    pub(super) error_key: &'a str,
    /// For people. It may change
    #[serde(rename = "errorMessage")]
    #[schema(example = "The file was not found.")]
    pub(super) error_message: &'a str,
    #[serde(rename = "errorType")]
    pub(super) error_type: ItemKind,
    /// The id of the file, if the path has one
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) id: Option<&'a str>,
    /// The same text as `errorMessage`
    #[schema(example = "The file was not found.")]
    pub(super) title: &'a str,
    /// A page about the statuses of HTTP
    #[serde(rename = "type")]
    #[schema(format = "uri")]
    pub(super) kind: &'static str,
}

/// A success without further content.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"errorCode": "0", "id": "D1A2B3C4", "type": "file"}))]
pub(super) struct SuccessBody {
    #[serde(rename = "errorCode")]
    error_code: SuccessCode,
    /// The id of the file
    id: String,
    #[serde(rename = "type")]
    kind: ItemKind,
}

impl SuccessBody {
    pub(super) fn new(kind: ItemKind, file: impl ToString) -> Self {
        Self { error_code: SuccessCode::Success, id: file.to_string(), kind }
    }
}

/// A success with an item.
#[derive(Serialize, ToSchema)]
pub(super) struct ItemBody<T> {
    #[serde(rename = "errorCode")]
    error_code: SuccessCode,
    #[serde(flatten)]
    item: T,
}

impl<T> ItemBody<T> {
    pub(super) fn new(item: T) -> Self {
        Self { error_code: SuccessCode::Success, item }
    }
}

/// A list of the items of a file.
#[derive(Serialize, ToSchema)]
pub(super) struct ListBody<T> {
    #[serde(rename = "errorCode")]
    error_code: SuccessCode,
    /// The id of the file
    id: String,
    #[serde(rename = "type")]
    kind: ItemKind,
    /// The number of items. Lists of renditions do not have it
    #[schema(nullable = false, pattern = "^[0-9]+$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<String>,
    items: Vec<T>,
}

impl<T> ListBody<T> {
    pub(super) fn new(file: impl ToString, items: Vec<T>) -> Self {
        let count = Some(items.len().to_string());
        Self { error_code: SuccessCode::Success, id: file.to_string(), kind: ItemKind::File, count, items }
    }

    /// Returns the same list without its number of items.
    pub(super) fn without_count(self) -> Self {
        Self { count: None, ..self }
    }
}

/// The type of a user
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum UserKind {
    User,
}

/// A user.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct UserReference {
    #[serde(rename = "displayName")]
    #[schema(example = "Jane Doe")]
    pub(super) display_name: String,
    #[schema(example = "jane")]
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: UserKind,
}

/// A version of a file.
#[derive(Serialize, ToSchema)]
pub(super) struct FileInformation {
    #[schema(example = "D1A2B3C4")]
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: ItemKind,
    #[schema(example = "jellyfish.png")]
    pub(super) name: String,
    /// The number of the version, from 1 on
    #[schema(pattern = "^[1-9][0-9]*$", example = "1")]
    pub(super) version: String,
    #[serde(rename = "createdBy")]
    pub(super) created_by: UserReference,
    #[serde(rename = "createdTime")]
    #[schema(format = DateTime, example = "2026-11-21T12:00:00Z")]
    pub(super) created_time: String,
    #[serde(rename = "modifiedBy")]
    pub(super) modified_by: UserReference,
    #[serde(rename = "modifiedTime")]
    #[schema(format = DateTime, example = "2026-11-21T12:00:00Z")]
    pub(super) modified_time: String,
    #[serde(rename = "ownedBy")]
    pub(super) owned_by: UserReference,
    /// In bytes. Missing if another system keeps the content
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[0-9]+$", example = "25064")]
    pub(super) size: Option<String>,
    /// The type as judged by the content. Missing if another system keeps the content
    #[serde(rename = "mimeType", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "image/png")]
    pub(super) mime_type: Option<&'static str>,
    /// Only with `includeRenditions=true`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) renditions: Option<Vec<RenditionInformation>>,
}

/// The type of a rendition
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RenditionKind {
    Rendition,
}

/// Where a rendition comes from: Cloakroom renders system renditions, and users upload custom ones
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RenditionType {
    System,
    Uploaded,
}

/// A rendition.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct RenditionInformation {
    #[serde(rename = "type")]
    kind: RenditionKind,
    #[schema(max_length = 28, example = "thumbnail1")]
    pub(super) name: String,
    /// Empty if there is none
    #[schema(max_length = 1000)]
    description: String,
    /// The name with the file name extension
    #[schema(example = "thumbnail1.png")]
    path: String,
    /// Only with `includeRenditions=true`
    #[serde(rename = "renditionType", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rendition_type: Option<RenditionType>,
    /// Whether the rendition is stored already. Only with `includeRenditions=true`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    exists: Option<bool>,
}

impl RenditionInformation {
    /// A rendition that Cloakroom renders.
    pub(super) fn system(name: &str, path: String) -> Self {
        let (kind, description) = (RenditionKind::Rendition, String::new());
        Self { kind, name: name.to_owned(), description, path, rendition_type: None, exists: None }
    }

    /// A rendition that a user uploaded.
    pub(super) fn uploaded(rendition: &Rendition, path: String) -> Self {
        let description = rendition.description.clone();
        Self { description, ..Self::system(&rendition.name, path) }
    }

    /// Returns the same rendition with its type, and with whether it is stored.
    pub(super) fn with_state(self, rendition_type: RenditionType, exists: bool) -> Self {
        Self { rendition_type: Some(rendition_type), exists: Some(exists), ..self }
    }
}

/// The role that a link gives
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum LinkRole {
    Viewer,
    Downloader,
    Contributor,
}

/// A link gives at most the role of a contributor, which is checked when the link is created.
impl From<FileRole> for LinkRole {
    fn from(role: FileRole) -> Self {
        match role {
            FileRole::Viewer => Self::Viewer,
            FileRole::Downloader => Self::Downloader,
            FileRole::Contributor | FileRole::Manager | FileRole::Owner => Self::Contributor,
        }
    }
}

/// An applink. Its id and its access token are the credential.
#[derive(Serialize, ToSchema)]
pub(super) struct ApplinkCreated {
    #[serde(rename = "appLinkID")]
    #[schema(example = "LhYd2kq0Qb7xJm")]
    pub(super) app_link_id: String,
    /// Valid for 15 minutes
    #[serde(rename = "accessToken")]
    pub(super) access_token: String,
    /// The address of a page that shows the file and, for a contributor, uploads new versions. Open it with the tokens
    /// in the fragment, percent-encoded: `<appLinkUrl>#accessToken=…&refreshToken=…`. The refresh token is optional.
    /// Never put a token into the query, because addresses are logged
    #[serde(rename = "appLinkUrl")]
    #[schema(format = "uri-reference")]
    pub(super) app_link_url: String,
    /// Valid for 24 hours
    #[serde(rename = "refreshToken")]
    pub(super) refresh_token: String,
    pub(super) role: LinkRole,
    /// The id of the file
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: ItemKind,
    #[serde(rename = "errorCode")]
    pub(super) error_code: SuccessCode,
}

/// An applink, without its tokens.
#[derive(Serialize, ToSchema)]
pub(super) struct ApplinkInformation {
    #[serde(rename = "appLinkID")]
    #[schema(example = "LhYd2kq0Qb7xJm")]
    pub(super) app_link_id: String,
    /// The id of the file
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: ItemKind,
    pub(super) role: LinkRole,
    /// A user, `@serviceinstance` or `@everybody`
    #[serde(rename = "assignedUser")]
    pub(super) assigned_user: String,
}

/// A new access token of an applink.
#[derive(Serialize, ToSchema)]
pub(super) struct AccessTokenCreated {
    /// Valid for 15 minutes
    #[serde(rename = "accessToken")]
    pub(super) access_token: String,
    #[serde(rename = "type")]
    pub(super) kind: ItemKind,
    #[serde(rename = "errorCode")]
    pub(super) error_code: SuccessCode,
}

/// A public link.
#[derive(Serialize, ToSchema)]
pub(super) struct PublicLinkInformation {
    #[serde(rename = "linkID")]
    #[schema(example = "LhYd2kq0Qb7xJm")]
    pub(super) link_id: String,
    /// Empty if the link has no name
    #[serde(rename = "linkName")]
    #[schema(max_length = 256)]
    pub(super) link_name: String,
    /// The id of the file
    #[schema(example = "D1A2B3C4")]
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: ItemKind,
    pub(super) role: LinkRole,
    /// `@everybody`, `@serviceinstance`, or ids of users with commas between them
    #[serde(rename = "assignedUsers")]
    #[schema(example = "@everybody")]
    pub(super) assigned_users: String,
    #[serde(rename = "createdBy")]
    pub(super) created_by: UserReference,
    #[serde(rename = "createdTime")]
    #[schema(format = DateTime, example = "2026-11-21T12:00:00Z")]
    pub(super) created_time: String,
    /// Missing if the link does not expire
    #[serde(rename = "expirationTime", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime, example = "2026-12-21T12:00:00Z")]
    pub(super) expiration_time: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_roles_have_one_spelling() {
        for kind in [ItemKind::File, ItemKind::Applink, ItemKind::Publiclink] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for role in [FileRole::Viewer, FileRole::Downloader, FileRole::Contributor] {
            assert_eq!(serde_json::to_value(LinkRole::from(role)).unwrap(), role.as_str());
        }
    }
}
