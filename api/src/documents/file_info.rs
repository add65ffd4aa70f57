//! Information about a file and its versions: `GET …/files/{id}` and `GET …/files/{id}/versions`.

use std::collections::HashMap;

use axum::http::StatusCode;
use axum::response::Response;
use domain::{File, FileRole, FileVersion};
use jiff::Timestamp;

use super::error::{DocumentError, DocumentOperation};
use super::renditions;
use super::request::DocumentRequest;
use super::response_format::ResponseValue;
use super::schemas::{DocumentErrors, FileInformation, FilePath, VersionList, VersionQuery};
use crate::state::AppState;

/// `GET …/files/{fileId}`: what is known of a file.
#[utoipa::path(
    get,
    path = "/files/{id}",
    tag = "documents",
    operation_id = "getFile",
    params(
        FilePath,
        VersionQuery,
        ("includeRenditions" = Option<String>, Query, description = "true: with all renditions there are or could be"),
    ),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = FileInformation),
        DocumentErrors,
    ),
)]
pub(crate) async fn get(request: DocumentRequest) -> Result<Response, DocumentError> {
    let authorized = request.authorize_file(DocumentOperation::GET_INFO, FileRole::Viewer).await?;
    let version = request.requested_version(&authorized.file).await?;
    let shown = if request.query_param("includeRenditions")?.as_deref() == Some("true") {
        Some(renditions::all_renditions(&request, &version).await?)
    } else {
        None
    };
    file_info_response(&request, StatusCode::OK, &authorized.file, &version, shown).await
}

/// `GET …/files/{fileId}/versions`: all versions of a file.
#[utoipa::path(
    get,
    path = "/files/{id}/versions",
    tag = "documents",
    operation_id = "getFileVersions",
    params(FilePath),
    responses(
        (status = 200, description = "In JSON or XML, as the client likes", body = VersionList),
        DocumentErrors,
    ),
)]
pub(crate) async fn versions(request: DocumentRequest) -> Result<Response, DocumentError> {
    let authorized = request.authorize_file(DocumentOperation::GET_INFO, FileRole::Viewer).await?;
    let versions = request.state.backends.records.file_versions(&authorized.file.id).await?;
    let mut people = UserDirectory::new(&request.state);
    let mut items = Vec::with_capacity(versions.len());
    let creator =
        people.user_value(versions.first().map_or(&authorized.file.owner, |oldest| &oldest.created_by)).await?;
    for version in &versions {
        items.push(ResponseValue::Object(file_members(&mut people, &authorized.file, version, &creator).await?));
    }
    Ok(request.response_format.list_response(&authorized.file.id, items))
}

/// The response with the information about one version of a file.
pub(super) async fn file_info_response(
    request: &DocumentRequest,
    status: StatusCode,
    file: &File,
    version: &FileVersion,
    renditions: Option<Vec<ResponseValue>>,
) -> Result<Response, DocumentError> {
    let mut all = vec![("errorCode", "0".into())];
    let mut people = UserDirectory::new(&request.state);
    let creator = creator(&mut people, file).await?;
    all.extend(file_members(&mut people, file, version, &creator).await?);
    all.extend(renditions.map(|list| ("renditions", ResponseValue::List(list))));
    Ok(request.response_format.response(status, "file", all))
}

/// The creator of the file, as responses show a user. The owner may be another user by now.
async fn creator(people: &mut UserDirectory<'_>, file: &File) -> Result<ResponseValue, DocumentError> {
    let creator = people.state.backends.records.file_creator(&file.id).await?;
    people.user_value(creator.as_deref().unwrap_or(&file.owner)).await
}

async fn file_members(
    people: &mut UserDirectory<'_>,
    file: &File,
    version: &FileVersion,
    creator: &ResponseValue,
) -> Result<Vec<(&'static str, ResponseValue)>, DocumentError> {
    let by = people.user_value(&version.created_by).await?;
    let mut members = vec![
        ("id", file.id.as_str().into()),
        ("type", "file".into()),
        ("name", version.name.as_str().into()),
        ("version", version.number.to_string().into()),
        ("createdBy", creator.clone()),
        ("createdTime", format_time(file.created_at)),
        ("modifiedBy", by),
        ("modifiedTime", format_time(version.created_at)),
        ("ownedBy", people.user_value(&file.owner).await?),
    ];
    if let Some(upload) = &version.upload {
        members.push(("size", upload.bytes.to_string().into()));
        members.push(("mimeType", upload.media.mime().into()));
    }
    Ok(members)
}

/// Formats a time as `YYYY-MM-DDThh:mm:ssZ`.
pub(super) fn format_time(at: Timestamp) -> ResponseValue {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}

/// Users by id, each looked up once per response.
pub(super) struct UserDirectory<'a> {
    state: &'a AppState,
    cache: HashMap<String, ResponseValue>,
}

impl<'a> UserDirectory<'a> {
    pub(super) fn new(state: &'a AppState) -> Self {
        Self { state, cache: HashMap::new() }
    }

    /// Returns a user as responses show it.
    pub(super) async fn user_value(&mut self, id: &str) -> Result<ResponseValue, DocumentError> {
        if let Some(known) = self.cache.get(id) {
            return Ok(known.clone());
        }
        let name = self.state.backends.records.user(id).await?.map_or_else(|| id.to_owned(), |user| user.name);
        let node =
            ResponseValue::Object(vec![("displayName", name.into()), ("id", id.into()), ("type", "user".into())]);
        self.cache.insert(id.to_owned(), node.clone());
        Ok(node)
    }
}
