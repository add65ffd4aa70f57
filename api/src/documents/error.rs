//! The error of the documents API: a status, a code, a key with the separators `!` and `,`, and a message.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{FileId, InvalidRenditionName, RenditionName, RenditionNameRules};
use records::RecordsError;
use storage::StoreError;

use super::request_path::RequestPath;
use super::response_bodies::{DocumentErrorBody, DocumentErrorCode};
use super::response_format::ResponseFormat;
use crate::error::ApiError;

/// The page that explains the statuses. The contract's errors name it
/// (`docs/contracts/renditions.md`, 4.3).
const STATUS_REFERENCE_URL: &str = "https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html";

/// Why a request failed.
#[derive(Clone, Debug)]
pub(crate) struct DocumentError {
    status: StatusCode,
    code: DocumentErrorCode,
    key: String,
    message: String,
    /// Seconds.
    retry_after: Option<u64>,
    /// The methods that the path supports.
    allow: Option<String>,
}

/// What a caller wants to do with a file, as errors name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DocumentOperation {
    /// Stands before the key that gives the reason.
    key: &'static str,
    /// The operation as a sentence.
    sentence: &'static str,
    /// The name of the operation's service.
    service: &'static str,
}

impl DocumentOperation {
    const fn new(key: &'static str, sentence: &'static str, service: &'static str) -> Self {
        Self { key, sentence, service }
    }

    pub(crate) const ADD_RENDITION: Self =
        Self::new("!csRenditionsUnableToAdd", "Unable to add the rendition.", "ADD_RENDITION");
    pub(crate) const LIST_RENDITIONS: Self =
        Self::new("!csRenditionsUnableToList", "Unable to list the renditions.", "LIST_RENDITIONS");
    pub(crate) const GET_RENDITION: Self =
        Self::new("!csRenditionsUnableToGet", "Unable to get the rendition.", "GET_RENDITION");
    pub(crate) const DELETE_RENDITION: Self =
        Self::new("!csRenditionsUnableToDelete", "Unable to delete the rendition.", "DELETE_RENDITION");
    pub(crate) const ADD_FILE: Self = Self::new("!csFileUnableToAdd", "Unable to add the file.", "ADD_FILE");
    pub(crate) const ADD_VERSION: Self =
        Self::new("!csFileUnableToAddVersion", "Unable to add the file version.", "ADD_FILE_VERSION");
    pub(crate) const GET_INFO: Self =
        Self::new("!csFileUnableToGetInfo", "Unable to get the file information.", "GET_FILE_INFO");
    pub(crate) const DOWNLOAD: Self = Self::new("!csFileUnableToGet", "Unable to get the file.", "GET_FILE");
    pub(crate) const DELETE_FILE: Self =
        Self::new("!csFileUnableToDelete", "Unable to delete the file.", "DELETE_FILE");
    pub(crate) const ADD_LINK: Self = Self::new("!csLinkUnableToAdd", "Unable to share the file.", "SHARE_FILE");
    pub(crate) const GET_LINKS: Self = Self::new("!csLinkUnableToGet", "Unable to get the file's links.", "GET_LINKS");
    pub(crate) const DELETE_LINK: Self =
        Self::new("!csLinkUnableToDelete", "Unable to delete the link.", "DELETE_LINK");
}

impl DocumentError {
    fn new(status: StatusCode, code: DocumentErrorCode, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code, key: key.into(), message: message.into(), retry_after: None, allow: None }
    }

    /// A required member is missing.
    pub(crate) fn missing_field(field: &str) -> Self {
        let message = format!("Required field '{field}' is missing.");
        Self::new(
            StatusCode::BAD_REQUEST,
            DocumentErrorCode::InvalidParameter,
            format!("!csRequiredFieldMissing,{field}"),
            message,
        )
    }

    /// A member has an invalid value.
    pub(crate) fn invalid_value(field: &str, why: &str) -> Self {
        let message = format!("The value of '{field}' is not valid: {why}.");
        Self::new(
            StatusCode::BAD_REQUEST,
            DocumentErrorCode::InvalidParameter,
            format!("!csInvalidValue,{field}"),
            message,
        )
    }

    /// A name breaks a rule. The error does not repeat the name, because the name may contain separators of the key.
    pub(crate) fn invalid_rendition_name(error: InvalidRenditionName, grammar: RenditionNameRules) -> Self {
        match error {
            InvalidRenditionName::Missing => Self::missing_field("name"),
            InvalidRenditionName::TooLong => {
                let most = RenditionName::MAX_LENGTH;
                let message = format!("The name of a rendition has at most {most} characters.");
                Self::new(
                    StatusCode::BAD_REQUEST,
                    DocumentErrorCode::InvalidParameter,
                    format!("!csRenditionsNameTooLong,{most}"),
                    message,
                )
            }
            InvalidRenditionName::Invalid => {
                let message = match grammar {
                    RenditionNameRules::V1_1 => {
                        "The name of a rendition has no control characters, no blanks at either end, and none of \
                         / \\ < > [ ] { } = $ % ' * \" ? : # & ^ . , | in it."
                    }
                    RenditionNameRules::V1_2 => {
                        "The name of a rendition has letters of ASCII, digits, hyphens and underscores only."
                    }
                };
                Self::new(
                    StatusCode::BAD_REQUEST,
                    DocumentErrorCode::InvalidParameter,
                    "!csRenditionsInvalidName",
                    message,
                )
            }
        }
    }

    /// The name is already used.
    pub(crate) fn name_taken(name: &RenditionName) -> Self {
        let message = format!("The '{name}' attachment already exists. No attachments will be added.");
        let key = format!("!csRenditionsUnableToAddDuplicateName,{name}");
        Self::new(StatusCode::CONFLICT, DocumentErrorCode::NameTaken, key, message)
    }

    /// The version has reached its maximum number of renditions.
    pub(crate) fn too_many_renditions(most: u64) -> Self {
        let message = format!("The file version has {most} renditions, which is the limit. Delete one to add another.");
        Self::new(StatusCode::CONFLICT, DocumentErrorCode::Other, format!("!csRenditionsTooMany,{most}"), message)
    }

    /// The file does not exist.
    pub(crate) fn file_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, DocumentErrorCode::NotFound, "!csFileNotFound", "The file was not found.")
    }

    /// The version does not exist.
    pub(crate) fn version_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            DocumentErrorCode::NotFound,
            "!csFileVersionNotFound",
            "The file version was not found.",
        )
    }

    /// The bytes of the version are not stored in Cloakroom.
    pub(crate) fn content_not_found() -> Self {
        let message = "The content of the file is kept in another system.";
        Self::new(StatusCode::NOT_FOUND, DocumentErrorCode::NotFound, "!csFileContentNotFound", message)
    }

    /// No custom rendition has this name.
    pub(crate) fn rendition_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            DocumentErrorCode::NotFound,
            "!csRenditionNotFound",
            "The rendition was not found.",
        )
    }

    /// No system rendition has this name. A request without `renditionType` looks for system renditions.
    pub(crate) fn system_rendition_not_found() -> Self {
        let message = "The rendition was not found. One that was uploaded is found with renditionType=uploaded.";
        Self::new(StatusCode::NOT_FOUND, DocumentErrorCode::NotFound, "!csRenditionNotFound", message)
    }

    /// No thumbnail can be rendered, because there is no picture.
    pub(crate) fn no_renderable_picture() -> Self {
        let message =
            "The rendition was not found. It would be made of a picture, and there is none that can be shown.";
        Self::new(StatusCode::NOT_FOUND, DocumentErrorCode::NotFound, "!csRenditionNotFound", message)
    }

    /// The link does not exist.
    pub(crate) fn link_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, DocumentErrorCode::NotFound, "!csLinkNotFound", "The link was not found.")
    }

    /// The link is invalid or has expired.
    pub(crate) fn invalid_link() -> Self {
        let message = "The link is not valid, or has expired. Ask for a new one.";
        Self::new(StatusCode::BAD_REQUEST, DocumentErrorCode::InvalidLink, "!csLinkInvalid", message)
    }

    /// The access code of a protected link is missing or wrong.
    pub(crate) fn access_code_required() -> Self {
        let message = "The access code must be provided to access the link.";
        Self::new(
            StatusCode::FORBIDDEN,
            DocumentErrorCode::AccessCodeRequired,
            "!csAccessCodeRequiredForLinkAccess",
            message,
        )
    }

    /// The role is too low for the operation.
    pub(crate) fn insufficient_privileges(operation: DocumentOperation, user_name: &str, file: &FileId) -> Self {
        let DocumentOperation { key, sentence, service } = operation;
        let key = format!("{key}!csCloudItemInsufficientPrivileges,{user_name},fFileGUID:{file},{service}");
        let message = format!("{sentence} User '{user_name}' has insufficient privilege to access fFileGUID:{file}.");
        Self::new(StatusCode::FORBIDDEN, DocumentErrorCode::InsufficientPrivileges, key, message)
    }

    /// Returns the body of the error at this path.
    pub(super) fn body<'a>(&'a self, path: &'a RequestPath) -> DocumentErrorBody<'a> {
        DocumentErrorBody {
            error_code: self.code,
            error_key: &self.key,
            error_message: &self.message,
            error_type: path.kind,
            id: path.file_id.as_deref(),
            title: &self.message,
            kind: STATUS_REFERENCE_URL,
        }
    }

    /// Renders the error in the format that the client accepts.
    pub(super) fn render(self, response_format: ResponseFormat, path: &RequestPath) -> Response {
        let response = response_format.response(self.status, path.kind, &self.body(path));
        let mut response = response.unwrap_or_else(IntoResponse::into_response);
        let headers = response.headers_mut();
        headers.extend(self.retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds))));
        let allow = self.allow.and_then(|methods| HeaderValue::try_from(methods).ok());
        headers.extend(allow.map(|methods| (header::ALLOW, methods)));
        response
    }
}

/// The error is passed on in the response and rendered where the format is known (`error_middleware`).
impl IntoResponse for DocumentError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Returns the status of an error in this API. The contract has no 415 (`docs/contracts/renditions.md`, 4.4), so a body
/// of another type is a malformed request.
pub(super) fn document_status(status: StatusCode) -> StatusCode {
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE { StatusCode::BAD_REQUEST } else { status }
}

/// Converts an error that other parts of the API send as a problem document. Its code becomes the key.
impl From<&ApiError> for DocumentError {
    fn from(error: &ApiError) -> Self {
        let words = error.code().split('_').map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
        });
        let key = format!("!cs{}", words.collect::<String>());
        let allow = if let ApiError::MethodNotAllowed(methods) = error { Some(methods.clone()) } else { None };
        let converted = Self::new(document_status(error.status()), DocumentErrorCode::Other, key, error.message());
        Self { retry_after: error.retry_after(), allow, ..converted }
    }
}

impl From<ApiError> for DocumentError {
    fn from(error: ApiError) -> Self {
        error.log();
        Self::from(&error)
    }
}

/// Why the credentials of a link are refused. Other APIs accept links too, and their errors have
/// another form.
pub(crate) enum LinkRefusal {
    /// The link or its access code, with the error of the contract.
    Link(DocumentError),
    /// Any other error.
    Other(ApiError),
}

impl From<DocumentError> for LinkRefusal {
    fn from(error: DocumentError) -> Self {
        Self::Link(error)
    }
}

impl From<ApiError> for LinkRefusal {
    fn from(error: ApiError) -> Self {
        Self::Other(error)
    }
}

impl From<RecordsError> for LinkRefusal {
    fn from(error: RecordsError) -> Self {
        Self::Other(error.into())
    }
}

impl From<LinkRefusal> for DocumentError {
    fn from(refusal: LinkRefusal) -> Self {
        match refusal {
            LinkRefusal::Link(error) => error,
            LinkRefusal::Other(error) => error.into(),
        }
    }
}

impl From<LinkRefusal> for ApiError {
    fn from(refusal: LinkRefusal) -> Self {
        match refusal {
            LinkRefusal::Link(_) => Self::NotLoggedIn(
                "the link is not valid, has expired, or its access code is missing; ask for a new link",
            ),
            LinkRefusal::Other(error) => error,
        }
    }
}

impl From<RecordsError> for DocumentError {
    fn from(error: RecordsError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<StoreError> for DocumentError {
    fn from(error: StoreError) -> Self {
        ApiError::from(error).into()
    }
}
