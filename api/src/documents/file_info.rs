//! Information about a file and its versions: `GET …/files/{id}` and `GET …/files/{id}/versions`.

use std::collections::HashMap;

use axum::http::StatusCode;
use axum::response::Response;
use domain::{File, FileRole, FileVersion};
use jiff::Timestamp;

use super::documented_errors::{DocumentErrors, ReadErrors};
use super::error::{DocumentError, DocumentOperation};
use super::parameters::{FilePath, VersionQuery};
use super::renditions;
use super::request::DocumentRequest;
use super::response_bodies::{
    FileInformation, ItemBody, ItemKind, ListBody, RenditionInformation, UserKind, UserReference,
};
use crate::state::AppState;

/// `GET …/files/{fileId}`: returns the information about a version of a file.
#[utoipa::path(
    get,
    path = "/files/{id}",
    tag = "documents",
    operation_id = "getFile",
    params(
        FilePath,
        VersionQuery,
        ("includeRenditions" = inline(Option<String>), Query, description = "`true`: with all renditions that exist or can be rendered. Any other value has no effect"),
    ),
    responses(
        (status = 200, description = "The information", body = ItemBody<FileInformation>),
        DocumentErrors::<ReadErrors>,
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

/// `GET …/files/{fileId}/versions`: lists all versions of a file.
#[utoipa::path(
    get,
    path = "/files/{id}/versions",
    tag = "documents",
    operation_id = "getFileVersions",
    params(FilePath),
    responses(
        (status = 200, description = "The versions, the oldest first", body = ListBody<FileInformation>),
        DocumentErrors::<ReadErrors>,
    ),
)]
pub(crate) async fn versions(request: DocumentRequest) -> Result<Response, DocumentError> {
    let authorized = request.authorize_file(DocumentOperation::GET_INFO, FileRole::Viewer).await?;
    let versions = request.state.backends.records.file_versions(&authorized.file.id).await?;
    let mut people = UserDirectory::new(&request.state);
    let mut items = Vec::with_capacity(versions.len());
    let creator =
        people.reference(versions.first().map_or(&authorized.file.owner, |oldest| &oldest.created_by)).await?;
    for version in &versions {
        items.push(file_information(&mut people, &authorized.file, version, &creator).await?);
    }
    let body = ListBody::new(&authorized.file.id, items);
    Ok(request.response_format.response(StatusCode::OK, ItemKind::File, &body)?)
}

/// The response with the information about one version of a file.
pub(super) async fn file_info_response(
    request: &DocumentRequest,
    status: StatusCode,
    file: &File,
    version: &FileVersion,
    renditions: Option<Vec<RenditionInformation>>,
) -> Result<Response, DocumentError> {
    let mut people = UserDirectory::new(&request.state);
    let creator = creator(&mut people, file).await?;
    let information = file_information(&mut people, file, version, &creator).await?;
    let body = ItemBody::new(FileInformation { renditions, ..information });
    Ok(request.response_format.response(status, ItemKind::File, &body)?)
}

/// The creator of the file, as responses show a user. The owner may be another user by now.
async fn creator(people: &mut UserDirectory<'_>, file: &File) -> Result<UserReference, DocumentError> {
    let creator = people.state.backends.records.file_creator(&file.id).await?;
    people.reference(creator.as_deref().unwrap_or(&file.owner)).await
}

async fn file_information(
    people: &mut UserDirectory<'_>,
    file: &File,
    version: &FileVersion,
    creator: &UserReference,
) -> Result<FileInformation, DocumentError> {
    let upload = version.upload.as_ref();
    Ok(FileInformation {
        id: file.id.to_string(),
        kind: ItemKind::File,
        name: version.name.clone(),
        version: version.number.to_string(),
        created_by: creator.clone(),
        created_time: format_time(file.created_at),
        modified_by: people.reference(&version.created_by).await?,
        modified_time: format_time(version.created_at),
        owned_by: people.reference(&file.owner).await?,
        size: upload.map(|upload| upload.bytes.to_string()),
        mime_type: upload.map(|upload| upload.media.mime()),
        renditions: None,
    })
}

/// Formats a time as `YYYY-MM-DDThh:mm:ssZ`.
pub(super) fn format_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Users by id, each looked up once per response.
pub(super) struct UserDirectory<'a> {
    state: &'a AppState,
    cache: HashMap<String, UserReference>,
}

impl<'a> UserDirectory<'a> {
    pub(super) fn new(state: &'a AppState) -> Self {
        Self { state, cache: HashMap::new() }
    }

    /// Returns a user as responses show it.
    pub(super) async fn reference(&mut self, id: &str) -> Result<UserReference, DocumentError> {
        if let Some(known) = self.cache.get(id) {
            return Ok(known.clone());
        }
        let name = self.state.backends.records.user(id).await?.map_or_else(|| id.to_owned(), |user| user.name);
        let user = UserReference { display_name: name, id: id.to_owned(), kind: UserKind::User };
        self.cache.insert(id.to_owned(), user.clone());
        Ok(user)
    }
}
