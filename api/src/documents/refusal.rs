//! Saying no in the words of the documents API: a status, a code, a key whose grammar is `!` and `,`, a sentence.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use upload::{FileId, Grammar, NoRenditionName, RecordsError, RenditionName, StoreError};

use super::address::Address;
use super::answer::{Format, Node};
use crate::problem::ApiError;

/// Where the contract's errors say that statuses are explained.
const ABOUT: &str = "https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html";

/// Why a call was not done.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    key: String,
    message: String,
    /// Seconds.
    retry_after: Option<u64>,
    /// The methods that are answered.
    allow: Option<&'static str>,
}

/// What somebody wants to do with a file, as refusals name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deed {
    /// Before the key that says why.
    key: &'static str,
    /// The same as a sentence.
    sentence: &'static str,
    /// The service that it is.
    service: &'static str,
}

impl Deed {
    const fn new(key: &'static str, sentence: &'static str, service: &'static str) -> Self {
        Self { key, sentence, service }
    }

    pub(crate) const ADD: Self = Self::new("!csRenditionsUnableToAdd", "Unable to add the rendition.", "ADD_RENDITION");
    pub(crate) const LIST: Self =
        Self::new("!csRenditionsUnableToList", "Unable to list the renditions.", "LIST_RENDITIONS");
    pub(crate) const GET: Self = Self::new("!csRenditionsUnableToGet", "Unable to get the rendition.", "GET_RENDITION");
    pub(crate) const DELETE: Self =
        Self::new("!csRenditionsUnableToDelete", "Unable to delete the rendition.", "DELETE_RENDITION");
    pub(crate) const NEW_FILE: Self = Self::new("!csFileUnableToAdd", "Unable to add the file.", "ADD_FILE");
    pub(crate) const NEW_VERSION: Self =
        Self::new("!csFileUnableToAddVersion", "Unable to add the file version.", "ADD_FILE_VERSION");
    pub(crate) const INFORM: Self =
        Self::new("!csFileUnableToGetInfo", "Unable to get the file information.", "GET_FILE_INFO");
    pub(crate) const DOWNLOAD: Self = Self::new("!csFileUnableToGet", "Unable to get the file.", "GET_FILE");
    pub(crate) const SHARE: Self = Self::new("!csLinkUnableToAdd", "Unable to share the file.", "SHARE_FILE");
    pub(crate) const LINKS: Self = Self::new("!csLinkUnableToGet", "Unable to get the file's links.", "GET_LINKS");
    pub(crate) const UNSHARE: Self = Self::new("!csLinkUnableToDelete", "Unable to delete the link.", "DELETE_LINK");
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code, key: key.into(), message: message.into(), retry_after: None, allow: None }
    }

    /// A member that is not there.
    pub(crate) fn missing(field: &str) -> Self {
        let message = format!("Required field '{field}' is missing.");
        Self::new(StatusCode::BAD_REQUEST, "-97", format!("!csRequiredFieldMissing,{field}"), message)
    }

    /// A member that cannot be what it is.
    pub(crate) fn invalid(field: &str, why: &str) -> Self {
        let message = format!("The value of '{field}' is not valid: {why}.");
        Self::new(StatusCode::BAD_REQUEST, "-97", format!("!csInvalidValue,{field}"), message)
    }

    /// A name that breaks a rule. It is not echoed: it may hold what the key's grammar is made of.
    pub(crate) fn name(no: NoRenditionName, grammar: Grammar) -> Self {
        match no {
            NoRenditionName::Missing => Self::missing("name"),
            NoRenditionName::TooLong => {
                let most = RenditionName::LONGEST;
                let message = format!("The name of a rendition has at most {most} characters.");
                Self::new(StatusCode::BAD_REQUEST, "-97", format!("!csRenditionsNameTooLong,{most}"), message)
            }
            NoRenditionName::Invalid => {
                let message = match grammar {
                    Grammar::V1_1 => {
                        "The name of a rendition has no control characters, no blanks at either end, and none of \
                         / \\ < > [ ] { } = $ % ' * \" ? : # & ^ . , | in it."
                    }
                    Grammar::V1_2 => {
                        "The name of a rendition has letters of ASCII, digits, hyphens and underscores only."
                    }
                };
                Self::new(StatusCode::BAD_REQUEST, "-97", "!csRenditionsInvalidName", message)
            }
        }
    }

    /// A name that is taken.
    pub(crate) fn taken(name: &RenditionName) -> Self {
        let message = format!("The '{name}' attachment already exists. No attachments will be added.");
        let key = format!("!csRenditionsUnableToAddDuplicateName,{name}");
        Self::new(StatusCode::CONFLICT, "-17", key, message)
    }

    /// A version that has as many renditions as it may.
    pub(crate) fn full(most: u64) -> Self {
        let message = format!("The file version has {most} renditions, which is the limit. Delete one to add another.");
        Self::new(StatusCode::CONFLICT, "-1", format!("!csRenditionsTooMany,{most}"), message)
    }

    /// No such file.
    pub(crate) fn no_file() -> Self {
        Self::new(StatusCode::NOT_FOUND, "-16", "!csFileNotFound", "The file was not found.")
    }

    /// No such version.
    pub(crate) fn no_version() -> Self {
        Self::new(StatusCode::NOT_FOUND, "-16", "!csFileVersionNotFound", "The file version was not found.")
    }

    /// A version whose bytes are not ours to give.
    pub(crate) fn elsewhere() -> Self {
        let message = "The content of the file is kept in another system.";
        Self::new(StatusCode::NOT_FOUND, "-16", "!csFileContentNotFound", message)
    }

    /// No such rendition among those that were uploaded.
    pub(crate) fn no_rendition() -> Self {
        Self::new(StatusCode::NOT_FOUND, "-16", "!csRenditionNotFound", "The rendition was not found.")
    }

    /// No such rendition among those that we make, which is where one looks who does not say otherwise.
    pub(crate) fn no_system_rendition() -> Self {
        let message = "The rendition was not found. One that was uploaded is found with renditionType=uploaded.";
        Self::new(StatusCode::NOT_FOUND, "-16", "!csRenditionNotFound", message)
    }

    /// Nothing that we could make a thumbnail of.
    pub(crate) fn no_picture() -> Self {
        let message =
            "The rendition was not found. It would be made of a picture, and there is none that can be shown.";
        Self::new(StatusCode::NOT_FOUND, "-16", "!csRenditionNotFound", message)
    }

    /// No such link.
    pub(crate) fn no_link() -> Self {
        Self::new(StatusCode::NOT_FOUND, "-16", "!csLinkNotFound", "The link was not found.")
    }

    /// A link that is not valid, or not any more.
    pub(crate) fn bad_link() -> Self {
        let message = "The link is not valid, or has expired. Ask for a new one.";
        Self::new(StatusCode::BAD_REQUEST, "-26", "!csLinkInvalid", message)
    }

    /// A protected link without its code, or with another.
    pub(crate) fn no_access_code() -> Self {
        let message = "The access code must be provided to access the link.";
        Self::new(StatusCode::FORBIDDEN, "-18", "!csAccessCodeRequiredForLinkAccess", message)
    }

    /// A role that is too low for what is wanted.
    pub(crate) fn privileges(deed: Deed, who: &str, file: &FileId) -> Self {
        let Deed { key, sentence, service } = deed;
        let key = format!("{key}!csCloudItemInsufficientPrivileges,{who},fFileGUID:{file},{service}");
        let message = format!("{sentence} User '{who}' has insufficient privilege to access fFileGUID:{file}.");
        Self::new(StatusCode::FORBIDDEN, "-20", key, message)
    }

    /// Written as the client likes.
    pub(super) fn told(self, format: Format, about: &Address) -> Response {
        let mut members: Vec<(&'static str, Node)> = vec![
            ("errorCode", self.code.into()),
            ("errorKey", self.key.into()),
            ("errorMessage", self.message.as_str().into()),
            ("errorType", about.kind.into()),
        ];
        members.extend(about.file.as_deref().map(|id| ("id", id.into())));
        members.extend([("title", self.message.into()), ("type", ABOUT.into())]);
        let mut response = format.answer(self.status, about.kind, members);
        let headers = response.headers_mut();
        headers.extend(self.retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds))));
        headers.extend(self.allow.map(|methods| (header::ALLOW, HeaderValue::from_static(methods))));
        response
    }
}

/// It travels as it is, to be written where it is known how (`around`).
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// What is said elsewhere as a problem document: its code becomes the key.
impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        error.log();
        let status = match error.status() {
            // The contract knows no 415: a body of another type is a body that makes no sense.
            StatusCode::UNSUPPORTED_MEDIA_TYPE => StatusCode::BAD_REQUEST,
            status => status,
        };
        let words = error.code().split('_').map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
        });
        let key = format!("!cs{}", words.collect::<String>());
        let allow = if let ApiError::MethodNotAllowed(methods) = error { Some(methods) } else { None };
        Self { retry_after: error.retry_after(), allow, ..Self::new(status, "-1", key, error.message()) }
    }
}

impl From<RecordsError> for Refusal {
    fn from(error: RecordsError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        ApiError::from(error).into()
    }
}
